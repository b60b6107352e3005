"""The grammar of revisions, which is checked before a name is passed to git."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from cloudseg_ops.contracts.errors import InvalidRevisionError

# The subset of git-check-ref-format(1) that needs no quoting; git would read a leading '-' as an option. Also a JSON
# schema pattern, so that the trigger form refuses other names. The last group stops Python's `$` from accepting a
# trailing line end.
REVISION_PATTERN = r"^(?!.*(?:\.\.|//|/\.|\.lock/))(?!.*(?:\.|/|\.lock)$)[A-Za-z0-9_][A-Za-z0-9._/+@-]{0,199}$(?!\n)"
COMMIT_PATTERN = r"^[0-9a-f]{40}$"
OFFERED_TAGS = 40
OFFERED_BRANCHES = 10
_REVISION = re.compile(REVISION_PATTERN)
_FIRST_BRANCHES = ("main", "master")


def check_revision(text: str) -> str:
    """Validate the name of a revision (a tag, a branch or a commit) and return it.

    Raises:
        InvalidRevisionError: The name is not valid.

    >>> check_revision("v1.2.0")
    'v1.2.0'
    """
    if not _REVISION.fullmatch(text):
        raise InvalidRevisionError(
            f"model revision {text[:80]!r} cannot be a tag, a branch or a commit; use up to 200 letters, digits and "
            "._/+@-, beginning with a letter, a digit or _"
        )
    return text


def is_revision(text: object) -> bool:
    """Return whether a value is a valid name of a revision."""
    return isinstance(text, str) and _REVISION.fullmatch(text) is not None


def newest_first(tags: Iterable[str]) -> list[str]:
    """Return tags sorted by the version in them, highest first; tags without a version come last.

    >>> newest_first(["v9", "model-v10", "v10rc1", "old"])
    ['model-v10', 'v10rc1', 'v9', 'old']
    """
    return sorted(tags, key=_by_version, reverse=True)


def offer(tags: Iterable[str], branches: Iterable[str]) -> list[str]:
    """Return the revisions that a trigger form offers: the newest tags, then branches, `main` first.

    Names outside the grammar are left out, because a run would refuse them.

    Args:
        tags: All tags of the registry.
        branches: All branches of the registry.

    Returns:
        At most 40 tags and 10 branches, each name once.
    """
    first = newest_first(filter(is_revision, tags))[:OFFERED_TAGS]
    then = sorted(filter(is_revision, branches), key=lambda name: (name not in _FIRST_BRANCHES, name))
    return list(dict.fromkeys([*first, *then[:OFFERED_BRANCHES]]))


def _by_version(tag: str) -> tuple[Any, str]:
    # Imported here because the engine's image, which needs only the grammar, may lack it.
    from packaging.version import InvalidVersion, Version

    # The text before the first digit is a name: `v2`, `model-v2`, `release/2.0`.
    found = re.search(r"\d.*", tag)
    try:
        return Version(found[0] if found else ""), tag
    except InvalidVersion:
        return Version("0.dev0"), tag
