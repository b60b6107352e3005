"""Which version of the engine may work for which version of the DAG's code.

Versions are semantic (semver.org), so a rule can tell: within one series the engine's command line and what lies in the
buckets stay as they are. Before 1.0 each minor version is a series, afterwards each major one.
"""

from __future__ import annotations

import re

from cloudseg_ops import __version__
from cloudseg_ops.contracts.commit import COMMIT
from cloudseg_ops.contracts.errors import VersionMismatchError

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:[.+-]?[0-9A-Za-z.+-]*)?")


def series(version: str) -> tuple[int, ...]:
    """Which series a version is of: `0.4.2` is of (0, 4), `2.4.2` of (2,).

    Raises:
        VersionMismatchError: It is not a version.
    """
    found = _VERSION.fullmatch(version)
    if not found:
        raise VersionMismatchError(f"{version!r} is not a version of cloudseg; one reads 1.2.3")
    major, minor = int(found[1]), int(found[2])
    return (major,) if major else (major, minor)


def fits(wanted: str, found: str) -> bool:
    """Whether an engine of version `found` may work for code of version `wanted`.

    Raises:
        VersionMismatchError: One of them is not a version.
    """
    return series(wanted) == series(found)


def require_fit(wanted: str, found: str) -> None:
    """Insist that an engine of version `found` may work for code of version `wanted`.

    Raises:
        VersionMismatchError: It may not; the message says what to do.
    """
    if not fits(wanted, found):
        raise VersionMismatchError(
            f"this engine is cloudseg {found}, and the DAG that started it is {wanted}: their command lines and files "
            "may differ, so nothing was touched. Deploy both from one revision (`make deploy`), or set CLOUDSEG_IMAGE "
            f"to an image of a version that fits {wanted}"
        )


def require_image(wanted: str, image: str) -> None:
    """Insist that an image, as far as its name tells, has an engine that may work for code of version `wanted`.

    Raises:
        VersionMismatchError: It has not; no pod is to be started for it.
    """
    found = image_version(image)
    if found and not fits(wanted, found):
        raise VersionMismatchError(
            f"CLOUDSEG_IMAGE = {image!r} is of cloudseg {found}, and this DAG of {wanted}: its engine would refuse to "
            "work, so no pod was started. Deploy both from one revision (`make deploy`)"
        )


def image_version(image: str) -> str | None:
    """The version that an image's name tells in its tag, without asking a registry; None: it tells none.

    Args:
        image: Such as `host/engine:0.1.0-abc1234@sha256:…`; the digest decides what runs, the tag says what it is.
    """
    name = image.partition("@")[0].rpartition("/")[2]
    tag = name.partition(":")[2]
    found = re.match(r"\d+\.\d+\.\d+", tag)
    return found[0] if found else None


_DIGITS = 12


def release_name(version: str, commit: str) -> str:
    """Name a release: `0.1.0-1a2b3c4d5e6f`, and `0.1.0` where no commit is known."""
    return f"{version}-{commit[:_DIGITS]}" if commit else version


RELEASE = release_name(__version__, COMMIT)
"""The name of this copy."""
