"""Which inputs go into which chunk: pure rules, streamed, for any number of inputs."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from cloudseg_ops.contracts.objects import InputObject

# What an image costs beyond its bytes (requests, start of decoding), as bytes: keeps a chunk of a million tiny
# images from weighing nothing.
OBJECT_OVERHEAD = 64 * 1024


def count_chunks(objects: int, *, chunk_objects: int, max_chunks: int) -> int:
    """How many chunks a run has.

    Args:
        objects: Inputs of the run.
        chunk_objects: Inputs that a chunk should have.
        max_chunks: Most chunks, however many inputs.
    """
    return min(-(-objects // chunk_objects), max_chunks)


def split(
    inputs: Iterable[InputObject], *, objects: int, total_bytes: int, chunks: int
) -> Iterator[tuple[int, Iterator[InputObject]]]:
    """Stream inputs as consecutive chunks of about equal weight: bytes, and a constant for each object.

    No chunk is empty, and none weighs more than an equal share and its heaviest input together. Each chunk is to be
    read before the next one is asked for, as with `itertools.groupby`.

    Args:
        inputs: All inputs, in the snapshot's order, which chunks keep.
        objects: How many there are.
        total_bytes: Their sizes' sum.
        chunks: How many chunks to aim for; large inputs may leave fewer.

    Yields:
        Index from 0 without gaps, and the chunk's inputs.
    """
    total = total_bytes + objects * OBJECT_OVERHEAD

    def shares() -> Iterator[tuple[int, InputObject]]:
        before = 0
        for item in inputs:
            # Twice the weight at the item's middle, in whole numbers: floats lose count beyond 2**53.
            weight = item.size + OBJECT_OVERHEAD
            yield min((2 * before + weight) * chunks // (2 * total), chunks - 1), item
            before += weight

    for index, (_, members) in enumerate(groupby(shares(), key=itemgetter(0))):
        yield index, map(itemgetter(1), members)


def last_end(durations: Iterable[float], places: Iterable[float]) -> float:
    """Find when the last of a queue of chunks ends, each of which takes the place that is free first.

    Args:
        durations: Seconds that each chunk takes, in the order of the queue.
        places: When each place becomes free, in seconds from now; at least one.
    """
    free = list(places)
    heapq.heapify(free)
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)
