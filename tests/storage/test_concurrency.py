import threading
import time
from collections.abc import Iterator

import pytest

from cloudseg_ops.storage.concurrency import in_order


def test_results_are_in_order_however_long_each_takes() -> None:
    def work(number: int) -> int:
        time.sleep(0.02 if number % 4 == 0 else 0)
        return number * number

    assert list(in_order(work, range(30), at_once=4)) == [number * number for number in range(30)]
    assert list(in_order(work, [], at_once=4)) == []
    assert list(in_order(work, [3], at_once=4)) == [9]


def test_items_are_processed_concurrently() -> None:
    # Each item waits for three others, so processing them one by one would never end.
    barrier = threading.Barrier(4)
    assert len(list(in_order(lambda _: barrier.wait(10), range(8), at_once=4))) == 8


def test_items_are_consumed_only_as_needed() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    ahead = [len(taken) - made for made in in_order(lambda number: number, items(), at_once=3)]
    assert len(ahead) == 100
    assert max(ahead) <= 4


def test_no_item_is_started_after_an_error() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 5:
            raise ZeroDivisionError
        return number

    given: list[int] = []
    with pytest.raises(ZeroDivisionError):
        given.extend(in_order(work, range(1000), at_once=2))
    assert given == [0, 1, 2, 3, 4]
    assert len(begun) < 10


def test_an_error_of_the_iterator_is_raised_to_the_caller() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        list(in_order(lambda number: number, items(), at_once=2))
