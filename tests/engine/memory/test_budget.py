import threading

from cloudseg_ops.engine.memory.budget import MemoryBudget, Share


def ask(gate: MemoryBudget, amount: int, granted: list[int]) -> Share:
    return gate.request(amount, lambda: granted.append(amount))


def test_requests_that_fit_are_granted_immediately() -> None:
    granted: list[int] = []
    gate = MemoryBudget(100)
    first, _, third = (ask(gate, amount, granted) for amount in (60, 40, 1))
    assert granted == [60, 40]
    assert not third.granted
    gate.release(first)
    assert granted == [60, 40, 1]
    assert gate.held == 41


def test_requests_are_granted_in_order() -> None:
    granted: list[int] = []
    gate = MemoryBudget(100)
    first = ask(gate, 60, granted)
    ask(gate, 90, granted)
    ask(gate, 10, granted)
    assert granted == [60]
    gate.release(first)
    assert granted == [60, 90, 10]


def test_a_request_above_the_capacity_is_granted_alone() -> None:
    granted: list[int] = []
    gate = MemoryBudget(100)
    first = ask(gate, 1, granted)
    large = ask(gate, 500, granted)
    ask(gate, 1, granted)
    assert granted == [1]
    gate.release(first)
    assert granted == [1, 500]
    gate.release(large)
    assert granted == [1, 500, 1]


def test_a_share_may_shrink_and_is_released_once() -> None:
    granted: list[int] = []
    gate = MemoryBudget(100)
    first = ask(gate, 90, granted)
    ask(gate, 80, granted)
    gate.shrink(first, 20)
    gate.shrink(first, 50)
    assert granted == [90, 80]
    assert gate.held == 100
    gate.release(first)
    gate.release(first)
    assert gate.held == 80


def test_a_canceled_request_makes_way_for_the_next() -> None:
    granted: list[int] = []
    gate = MemoryBudget(100)
    ask(gate, 60, granted)
    waiting = ask(gate, 70, granted)
    ask(gate, 40, granted)
    gate.release(waiting)
    assert granted == [60, 40]


def test_close_wakes_all_waiting_threads() -> None:
    granted: list[int] = []
    gate = MemoryBudget(10)
    for _ in range(3):
        ask(gate, 8, granted)
    gate.close()
    assert granted == [8, 8, 8]


def test_many_threads_never_hold_more_than_the_capacity() -> None:
    gate = MemoryBudget(100)
    most = [0]

    def work(seed: int) -> None:
        for step in range(200):
            ready = threading.Event()
            share = gate.request(1 + (seed * 7 + step * 13) % 60, ready.set)
            assert ready.wait(10)
            most[0] = max(most[0], gate.held)
            gate.release(share)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gate.held == 0
    assert 0 < most[0] <= 100
