"""Checks that a revision must pass before it is delivered."""

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
    """Check that the work tree has no uncommitted changes, and return its commit.

    Raises:
        DeliveryRefusedError: There are uncommitted changes.
    """
    changed = programs.query("git", "status", "--porcelain").splitlines()
    if changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise DeliveryRefusedError(
            f"the work tree is dirty ({', '.join(line[2:].strip() for line in changed[:_SHOWN])}{more}), but a release "
            "must be exactly a commit. Commit or stash the changes"
        )
    return programs.query("git", "rev-parse", "HEAD")


def require_descent(programs: Programs, good: str | None) -> None:
    """Check that the checked-out commit descends from the commit in use.

    Args:
        programs: Runs git.
        good: The commit of the last good release; None if there is none.

    Raises:
        DeliveryRefusedError: It does not, or this clone does not contain that commit.
    """
    if good is None:
        return
    try:
        programs.query("git", "merge-base", "--is-ancestor", good, "HEAD")
    except CommandFailedError:
        raise DeliveryRefusedError(
            f"the commit in use, {good[:12]}, is not an ancestor of the checked-out one, which is older, on another "
            "branch, or in a shallow clone. Deliver a descendant, use `make rollback`, or force it with DOWNGRADE=1"
        ) from None


def require_checks(root: Path) -> None:
    """Run `make lint` and `make test`.

    Raises:
        DeliveryRefusedError: One of them fails.
    """
    for command in CHECKS:
        try:
            code = subprocess.run(command, cwd=root, check=False).returncode
        except OSError as error:
            raise DeliveryRefusedError(f"`{command[0]}` cannot be run ({error.strerror}); install it") from None
        if code:
            raise DeliveryRefusedError(f"`{' '.join(command)}` failed; see its output above. Nothing was delivered")


def require_settings(variables: dict[str, str], image: str) -> None:
    """Check that an environment's variables are valid cloudseg settings.

    Raises:
        DeliveryRefusedError: A variable is unknown or has an invalid value.
    """
    # Imported here because it needs pydantic; where only the standard library is available, CI has run this check.
    from cloudseg_ops.config import settings

    if unknown := sorted(set(variables) - set(settings.variables())):
        raise DeliveryRefusedError(
            f"no such setting: {', '.join(unknown)}; README.md and docs/settings.md list all settings"
        )
    try:
        settings.Settings.from_environment({**variables, "CLOUDSEG_IMAGE": image})
    except SettingsError as error:
        raise DeliveryRefusedError(str(error)) from None


def require_tag(tag: str, changelog: str) -> None:
    """Check that a tag names this version, and that the changelog has a section for it.

    Raises:
        DeliveryRefusedError: The tag names another version, or the changelog has no such section.
    """
    if tag != f"v{__version__}":
        raise DeliveryRefusedError(
            f"the tag is {tag!r}, but cloudseg_ops.__version__ is {__version__!r}: tag the release v{__version__}"
        )
    if not re.search(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d{{2}}-\d{{2}}$", changelog, re.MULTILINE):
        raise DeliveryRefusedError(f"CHANGELOG.md has no section `## [{__version__}] - YYYY-MM-DD`")
