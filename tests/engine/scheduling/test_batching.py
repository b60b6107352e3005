import threading
import time

from cloudseg_ops.engine.scheduling.batching import BatchQueue


def queue(limit: int = 2, *, expecting: bool = False, patience: float = 0.05) -> BatchQueue[str]:
    return BatchQueue(lambda _: limit, lambda: expecting, patience)


def test_full_batches_come_first_and_then_the_oldest() -> None:
    waiting = queue()
    waiting.put("lone", (1, 1))
    for item in "abc":
        waiting.put(item, (8, 8))
    assert waiting.take(0) == ["a", "b"]
    assert waiting.take(0) == ["lone"]
    assert waiting.take(0) == ["c"]
    assert waiting.take(0) == []


def test_an_incomplete_batch_waits_for_more_items_but_not_for_long() -> None:
    waiting = queue(expecting=True, patience=0.2)
    waiting.put("a", (8, 8))
    began = time.monotonic()
    assert waiting.take(0.02) == []
    assert waiting.take(5) == ["a"]
    assert 0.15 < time.monotonic() - began < 2


def test_a_full_batch_is_released_immediately() -> None:
    waiting = queue(expecting=True, patience=60)
    waiting.put("a", (8, 8))
    threading.Timer(0.05, lambda: waiting.put("b", (8, 8))).start()
    assert waiting.take(10) == ["a", "b"]


def test_each_size_has_its_own_limit() -> None:
    waiting: BatchQueue[int] = BatchQueue(lambda size: 1 if size[0] > 50 else 3, lambda: False)
    for item in range(2):
        waiting.put(item, (100, 100))
    for item in range(5, 9):
        waiting.put(item, (5, 5))
    taken = [waiting.take(0) for _ in range(4)]
    assert sorted(map(len, taken)) == [1, 1, 1, 3]
    assert [5, 6, 7] in taken


def test_peek_removes_nothing() -> None:
    waiting = queue()
    assert waiting.peek(0) == []
    waiting.put("a", (8, 8))
    assert waiting.peek(0) == ["a"]
    assert waiting.drain() == ["a"]
    assert waiting.take(0) == []


def test_close_wakes_waiting_threads() -> None:
    waiting = queue()
    threading.Timer(0.05, waiting.close).start()
    began = time.monotonic()
    assert waiting.take(30) == []
    assert time.monotonic() - began < 10
