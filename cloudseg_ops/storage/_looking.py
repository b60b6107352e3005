"""Finds which of many names exist, with few requests."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.storage._listing import Page
from cloudseg_ops.storage._types import BATCH_SIZE

# A page that settles fewer names than this costs more time than asking for each of them.
_FEW = 10


def find_by_listing(
    names: Sequence[str], list_from: Callable[[str, str], Page]
) -> tuple[dict[str, ObjectInfo], list[str]]:
    """List only where wanted names are: each page begins at the first name that is still to be looked for.

    What lies between the end of a page and the next name is never listed. Names may lie so far apart that a page
    settles few of them: after one such page for each hundred names, it stops.

    Args:
        names: In the order of their UTF-8 bytes, each once.
        list_from: Gives a page of the names from one on and before another.

    Returns:
        What was found, and the names that are still to be looked for.
    """
    found: dict[str, ObjectInfo] = {}
    keys = [name.encode() for name in names]
    wanted = set(names)
    budget = max(1, len(names) // BATCH_SIZE)
    at = 0
    while at < len(names) and budget:
        page = list_from(names[at], names[-1] + "\0")
        found.update((info.name, info) for info in page.objects if info.name in wanted)
        if page.token is None:
            return found, []
        # A page may be empty and yet not the last one: then it says nothing, and the rest is asked for.
        if not page.objects:
            break
        settled = bisect_right(keys, page.objects[-1].name.encode())
        if settled - at < _FEW:
            budget -= 1
        at = settled
    return found, list(names[at:])
