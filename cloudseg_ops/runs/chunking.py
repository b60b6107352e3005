"""Pure rules for splitting a stream of inputs, of any length, into chunks."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from cloudseg_ops.contracts.objects import InputObject

# The cost of an image beyond its bytes (requests, start of decoding), in bytes. Without it, a million tiny images would
# have almost no weight.
OBJECT_OVERHEAD = 64 * 1024


def count_chunks(objects: int, *, chunk_objects: int, max_chunks: int) -> int:
    """Return the number of chunks of a run.

    Args:
        objects: Number of inputs.
        chunk_objects: Target number of inputs in a chunk.
        max_chunks: Maximum number of chunks.
    """
    return min(-(-objects // chunk_objects), max_chunks)


def split(
    inputs: Iterable[InputObject], *, objects: int, total_bytes: int, chunks: int
) -> Iterator[tuple[int, Iterator[InputObject]]]:
    """Yield consecutive chunks of about equal weight, which is their bytes plus a constant for each input.

    No chunk is empty, and no chunk weighs more than an equal share plus its heaviest input. Consume each chunk before
    advancing to the next one, as with `itertools.groupby`.

    Args:
        inputs: All inputs in the snapshot's order, which is kept.
        objects: Number of inputs.
        total_bytes: Sum of their sizes.
        chunks: Target number of chunks; with large inputs there may be fewer.

    Yields:
        The chunk's index, from 0 without gaps, and its inputs.
    """
    total = total_bytes + objects * OBJECT_OVERHEAD

    def shares() -> Iterator[tuple[int, InputObject]]:
        before = 0
        for item in inputs:
            # Twice the cumulative weight at the item's middle, in integers: floats are not exact beyond 2**53.
            weight = item.size + OBJECT_OVERHEAD
            yield min((2 * before + weight) * chunks // (2 * total), chunks - 1), item
            before += weight

    for index, (_, members) in enumerate(groupby(shares(), key=itemgetter(0))):
        yield index, map(itemgetter(1), members)


def last_end(durations: Iterable[float], places: Iterable[float]) -> float:
    """Return when the last chunk of a queue ends if each takes the first slot that becomes free.

    Args:
        durations: Seconds that each chunk takes, in the order of the queue.
        places: When each slot becomes free, in seconds from now; at least one slot.
    """
    free = list(places)
    heapq.heapify(free)
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)
