import threading
import time
from collections.abc import Iterator

import pytest

from cloudseg_ops.storage.concurrency import in_order


def test_it_gives_all_in_their_order_however_long_each_takes() -> None:
    def work(number: int) -> int:
        time.sleep(0.02 if number % 4 == 0 else 0)
        return number * number

    assert list(in_order(work, range(30), at_once=4)) == [number * number for number in range(30)]
    assert list(in_order(work, [], at_once=4)) == []
    assert list(in_order(work, [3], at_once=4)) == [9]


def test_several_are_worked_on_at_once() -> None:
    # Each waits for three others: one after the other, it would never end.
    barrier = threading.Barrier(4)
    assert len(list(in_order(lambda _: barrier.wait(10), range(8), at_once=4))) == 8


def test_no_more_is_taken_than_is_worked_on() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    ahead = [len(taken) - made for made in in_order(lambda number: number, items(), at_once=3)]
    assert len(ahead) == 100
    assert max(ahead) <= 4


def test_after_an_error_nothing_more_is_begun() -> None:
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


def test_an_error_of_the_items_is_the_callers() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        list(in_order(lambda number: number, items(), at_once=2))
