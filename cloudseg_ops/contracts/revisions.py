"""The grammar of revisions: what a person may ask for, checked before git ever sees it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from cloudseg_ops.contracts.errors import InvalidRevisionError

# The subset of git-check-ref-format(1) that needs no quoting anywhere; a leading '-' would reach git as an option. As
# JSON schema reads it in a trigger form, so that a name is refused there. Without the last group, Python's `$` would
# let a line end through.
REVISION_PATTERN = r"^(?!.*(?:\.\.|//|/\.|\.lock/))(?!.*(?:\.|/|\.lock)$)[A-Za-z0-9_][A-Za-z0-9._/+@-]{0,199}$(?!\n)"
COMMIT_PATTERN = r"^[0-9a-f]{40}$"
OFFERED_TAGS = 40
OFFERED_BRANCHES = 10
_REVISION = re.compile(REVISION_PATTERN)
_FIRST_BRANCHES = ("main", "master")


def check_revision(text: str) -> str:
    """Give a revision back when it is within the grammar: a tag, a branch or a commit.

    Raises:
        InvalidRevisionError: It is not.

    >>> check_revision("v1.2.0")
    'v1.2.0'
    """
    if not _REVISION.fullmatch(text):
        raise InvalidRevisionError(
            f"model revision {text[:80]!r} cannot be a tag, a branch or a commit; use up to 200 letters, digits and "
            "._/+@- that begin with a letter, a digit or _"
        )
    return text


def is_revision(text: object) -> bool:
    """Whether something is a text within the grammar."""
    return isinstance(text, str) and _REVISION.fullmatch(text) is not None


def newest_first(tags: Iterable[str]) -> list[str]:
    """Tags by the version in them, the highest first; those without one come last, by name.

    >>> newest_first(["v9", "model-v10", "v10rc1", "old"])
    ['model-v10', 'v10rc1', 'v9', 'old']
    """
    return sorted(tags, key=_by_version, reverse=True)


def offer(tags: Iterable[str], branches: Iterable[str]) -> list[str]:
    """What a trigger form offers of a registry: the newest tags, then branches, `main` before others.

    Names outside the grammar are left out, for a run would refuse them.

    Args:
        tags: All tags of the registry.
        branches: All branches.

    Returns:
        At most 40 tags and 10 branches, each name once.
    """
    first = newest_first(filter(is_revision, tags))[:OFFERED_TAGS]
    then = sorted(filter(is_revision, branches), key=lambda name: (name not in _FIRST_BRANCHES, name))
    return list(dict.fromkeys([*first, *then[:OFFERED_BRANCHES]]))


def _by_version(tag: str) -> tuple[Any, str]:
    # Not where the grammar alone is wanted: the engine's image need not have it.
    from packaging.version import InvalidVersion, Version

    # What stands before the first digit is a name: `v2`, `model-v2`, `release/2.0`.
    found = re.search(r"\d.*", tag)
    try:
        return Version(found[0] if found else ""), tag
    except InvalidVersion:
        return Version("0.dev0"), tag
