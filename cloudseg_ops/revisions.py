"""The grammar of revisions: what a person may ask for, checked before git ever sees it."""

from __future__ import annotations

import re

from cloudseg_ops.errors import InvalidRevisionError

# The subset of git-check-ref-format(1) that needs no quoting anywhere; a leading '-' would reach git as an option.
REVISION_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._/+@-]{0,199}$"
COMMIT_PATTERN = r"^[0-9a-f]{40}$"
_REVISION = re.compile(REVISION_PATTERN)
_FORBIDDEN = ("..", "//", "@{", "/.", ".lock/")


def check_revision(text: str) -> str:
    """Give a revision back when it is within the grammar: a tag, a branch or a commit.

    Raises:
        InvalidRevisionError: It is not.

    >>> check_revision("v1.2.0")
    'v1.2.0'
    """
    if not _REVISION.fullmatch(text) or any(part in text for part in _FORBIDDEN) or text.endswith((".", "/", ".lock")):
        raise InvalidRevisionError(
            f"model revision {text[:80]!r} cannot be a tag, a branch or a commit; use up to 200 letters, digits and "
            "._/+@- that begin with a letter, a digit or _"
        )
    return text
