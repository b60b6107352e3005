"""Checks of a revision before it is deployed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from cloudseg_delivery.programs import Programs
from cloudseg_ops import __version__
from cloudseg_ops.contracts.errors import CommandFailedError, DeliveryRefusedError, SettingsError

CHECKS = (("make", "lint"), ("make", "test"))
_SHOWN = 5


def require_clean_tree(programs: Programs) -> str:
    """Check that the work tree is exactly a commit, and return it.

    Raises:
        DeliveryRefusedError: Something is not committed.
    """
    changed = programs.ask("git", "status", "--porcelain").splitlines()
    if changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise DeliveryRefusedError(
            f"the work tree is dirty ({', '.join(line[2:].strip() for line in changed[:_SHOWN])}{more}): a release is "
            "exactly a commit. Commit or stash that"
        )
    return programs.ask("git", "rev-parse", "HEAD")


def require_descent(programs: Programs, good: str | None) -> None:
    """Check that the checked-out commit is a descendant of the deployed one.

    Args:
        programs: By which git is called.
        good: The commit of the last good release; None: there is none.

    Raises:
        DeliveryRefusedError: It does not, or this clone does not know that commit.
    """
    if good is None:
        return
    try:
        programs.ask("git", "merge-base", "--is-ancestor", good, "HEAD")
    except CommandFailedError:
        raise DeliveryRefusedError(
            f"the commit in use, {good[:12]}, is not part of what is checked out: that is older, of another branch, or "
            "a clone without its history. Deliver what follows it, go back by `make rollback`, or insist: DOWNGRADE=1"
        ) from None


def require_checks(root: Path) -> None:
    """Run style, types and tests.

    Raises:
        DeliveryRefusedError: One of them fails.
    """
    for words in CHECKS:
        try:
            code = subprocess.run(words, cwd=root, check=False).returncode
        except OSError as error:
            raise DeliveryRefusedError(f"`{words[0]}` cannot be run ({error.strerror}); install it") from None
        if code:
            raise DeliveryRefusedError(f"`{' '.join(words)}` fails: the lines above say why. Nothing was delivered")


def require_settings(variables: dict[str, str], image: str) -> None:
    """Check that the DAG can be parsed with an environment's variables.

    Raises:
        DeliveryRefusedError: One has no usable value, or is none of cloudseg's.
    """
    # Here, for it needs pydantic: where only the standard library is, the tests have done this already.
    from cloudseg_ops.config import settings

    if unknown := sorted(set(variables) - set(settings.variables())):
        raise DeliveryRefusedError(
            f"no such setting: {', '.join(unknown)}; README.md and docs/settings.md have them all"
        )
    try:
        settings.Settings.from_environment({**variables, "CLOUDSEG_IMAGE": image})
    except SettingsError as error:
        raise DeliveryRefusedError(str(error)) from None


def require_tag(tag: str, changelog: str) -> None:
    """Check that a tag matches this version, and that the changelog has a section for it.

    Raises:
        DeliveryRefusedError: It is another's, or the changelog has no section for it.
    """
    if tag != f"v{__version__}":
        raise DeliveryRefusedError(
            f"the tag is {tag!r} and cloudseg_ops.__version__ {__version__!r}: a release is tagged v{__version__}"
        )
    if not re.search(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d{{2}}-\d{{2}}$", changelog, re.MULTILINE):
        raise DeliveryRefusedError(f"CHANGELOG.md has no section `## [{__version__}] - YYYY-MM-DD`")
