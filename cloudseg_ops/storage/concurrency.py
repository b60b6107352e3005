"""Processes a stream in several threads, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], *, at_once: int) -> Iterator[Result]:
    """Yield `work(item)` for each item, in order, with at most `at_once` items in progress.

    Items are consumed only as needed, unlike with `Executor.map`, which consumes all of them first. After an error no
    further item is started; those in progress are finished.

    Args:
        work: Called in worker threads.
        items: Consumed in the caller's thread.
        at_once: Number of threads, and maximum number of items in progress or waiting to be yielded.
    """
    rest = iter(items)
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            waiting.extend(pool.submit(work, item) for item in islice(rest, at_once))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(rest, 1))
                yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
