"""Work on a stream by several threads at once, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_order(work: Callable[[Item], Made], items: Iterable[Item], *, at_once: int) -> Iterator[Made]:
    """Yield the result of `work` for each item, in order, with at most `at_once` items in progress.

    Items are taken only as they are needed, unlike `Executor.map`, which takes all of them first. After an error
    no further item is begun; those in work are waited for.

    Args:
        work: Called in threads.
        items: Taken in the caller's thread.
        at_once: Threads, and items in work or waiting to be given.
    """
    rest = iter(items)
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            waiting.extend(pool.submit(work, item) for item in islice(rest, at_once))
            while waiting:
                made = waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(rest, 1))
                yield made
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
