"""Finds which of many names exist, with few requests."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from cloudseg_ops.storage._listing import Page
from cloudseg_ops.storage._types import BATCH_SIZE, ObjectInfo

LISTS_PER_NAMES = 1 / BATCH_SIZE  # pages that may be listed for each name before they are asked for one by one


def find_by_listing(
    names: Sequence[str], list_from: Callable[[str, str], Page]
) -> tuple[dict[str, ObjectInfo], list[str]]:
    """List only where wanted names are: each page begins at the first name that is still to be looked for.

    What lies between the end of a page and the next name is never listed. Where names lie so far apart that pages
    find few of them, it stops.

    Args:
        names: In the order of their UTF-8 bytes, each once.
        list_from: Gives a page of the names from one on and before another.

    Returns:
        What was found, and the names that are still to be looked for.
    """
    found: dict[str, ObjectInfo] = {}
    keys = [name.encode() for name in names]
    wanted = set(names)
    budget = max(1, int(len(names) * LISTS_PER_NAMES))
    at = 0
    while at < len(names) and budget:
        budget -= 1
        page = list_from(names[at], names[-1] + "\0")
        found.update((info.name, info) for info in page.objects if info.name in wanted)
        if page.token is None:
            return found, []
        # A page may be empty and yet not the last one: then it says nothing, and the rest is asked for.
        if not page.objects:
            break
        at = max(at, bisect_right(keys, page.objects[-1].name.encode()))
    return found, list(names[at:])
