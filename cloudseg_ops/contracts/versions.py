"""The rules for which versions of the engine and the DAG's code are compatible.

Versions are semantic (semver.org): within a series, the engine's command line and the formats in buckets do not change.
Before 1.0 each minor version is a series; from 1.0 on, each major version is.
"""

from __future__ import annotations

import re

from cloudseg_ops import __version__
from cloudseg_ops.contracts.commit import COMMIT
from cloudseg_ops.contracts.errors import VersionMismatchError

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:[.+-]?[0-9A-Za-z.+-]*)?")


def series(version: str) -> tuple[int, ...]:
    """Return the series of a version: (0, 4) for `0.4.2`, (2,) for `2.4.2`.

    Raises:
        VersionMismatchError: The text is not a version.
    """
    found = _VERSION.fullmatch(version)
    if not found:
        raise VersionMismatchError(f"{version!r} is not a version of cloudseg; write it as 1.2.3")
    major, minor = int(found[1]), int(found[2])
    return (major,) if major else (major, minor)


def fits(wanted: str, found: str) -> bool:
    """Return whether an engine of version `found` is compatible with code of version `wanted`.

    Raises:
        VersionMismatchError: One of them is not a version.
    """
    return series(wanted) == series(found)


def require_fit(wanted: str, found: str) -> None:
    """Raise an error unless an engine of version `found` is compatible with code of version `wanted`.

    Raises:
        VersionMismatchError: They are not compatible; the message says what to do.
    """
    if not fits(wanted, found):
        raise VersionMismatchError(
            f"this engine is cloudseg {found}, and the DAG that started it is {wanted}: their command lines and files "
            "may differ, so nothing was touched. Deploy both from one revision (`make deploy`), or set CLOUDSEG_IMAGE "
            f"to an image of a version that is compatible with {wanted}"
        )


def require_image(wanted: str, image: str) -> None:
    """Raise an error if the tag of an image names a version that is not compatible with `wanted`.

    Raises:
        VersionMismatchError: They are not compatible; do not start a pod.
    """
    found = image_version(image)
    if found and not fits(wanted, found):
        raise VersionMismatchError(
            f"CLOUDSEG_IMAGE = {image!r} is cloudseg {found}, and this DAG is {wanted}: the engine would refuse to "
            "run, so no pod was started. Deploy both from one revision (`make deploy`)"
        )


def image_version(image: str) -> str | None:
    """Return the version in an image's tag without asking a registry, or None if the tag has no version.

    Args:
        image: For example `host/engine:0.1.0-abc1234@sha256:…`: the digest selects the image, the tag describes it.
    """
    name = image.partition("@")[0].rpartition("/")[2]
    tag = name.partition(":")[2]
    found = re.match(r"\d+\.\d+\.\d+", tag)
    return found[0] if found else None


_DIGITS = 12


def release_name(version: str, commit: str) -> str:
    """Return the name of a release: `0.1.0-1a2b3c4d5e6f`, or `0.1.0` if the commit is unknown."""
    return f"{version}-{commit[:_DIGITS]}" if commit else version


RELEASE = release_name(__version__, COMMIT)
"""The release name of this copy of cloudseg."""
