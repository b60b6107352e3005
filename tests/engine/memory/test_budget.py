import threading

from cloudseg_ops.engine.memory.budget import MemoryBudget, Share


def ask(budget: MemoryBudget, amount: int, granted: list[int]) -> Share:
    return budget.request(amount, lambda: granted.append(amount))


def test_requests_that_fit_are_granted_immediately() -> None:
    granted: list[int] = []
    budget = MemoryBudget(100)
    first, _, third = (ask(budget, amount, granted) for amount in (60, 40, 1))
    assert granted == [60, 40]
    assert not third.granted
    budget.release(first)
    assert granted == [60, 40, 1]
    assert budget.held == 41


def test_requests_are_granted_in_order() -> None:
    granted: list[int] = []
    budget = MemoryBudget(100)
    first = ask(budget, 60, granted)
    ask(budget, 90, granted)
    ask(budget, 10, granted)
    assert granted == [60]
    budget.release(first)
    assert granted == [60, 90, 10]


def test_a_request_above_the_capacity_is_granted_alone() -> None:
    granted: list[int] = []
    budget = MemoryBudget(100)
    first = ask(budget, 1, granted)
    large = ask(budget, 500, granted)
    ask(budget, 1, granted)
    assert granted == [1]
    budget.release(first)
    assert granted == [1, 500]
    budget.release(large)
    assert granted == [1, 500, 1]


def test_a_share_may_shrink_and_is_released_once() -> None:
    granted: list[int] = []
    budget = MemoryBudget(100)
    first = ask(budget, 90, granted)
    ask(budget, 80, granted)
    budget.shrink(first, 20)
    budget.shrink(first, 50)
    assert granted == [90, 80]
    assert budget.held == 100
    budget.release(first)
    budget.release(first)
    assert budget.held == 80


def test_a_canceled_request_makes_way_for_the_next() -> None:
    granted: list[int] = []
    budget = MemoryBudget(100)
    ask(budget, 60, granted)
    waiting = ask(budget, 70, granted)
    ask(budget, 40, granted)
    budget.release(waiting)
    assert granted == [60, 40]


def test_close_wakes_all_waiting_threads() -> None:
    granted: list[int] = []
    budget = MemoryBudget(10)
    for _ in range(3):
        ask(budget, 8, granted)
    budget.close()
    assert granted == [8, 8, 8]


def test_many_threads_never_hold_more_than_the_capacity() -> None:
    budget = MemoryBudget(100)
    most = [0]

    def work(seed: int) -> None:
        for step in range(200):
            ready = threading.Event()
            share = budget.request(1 + (seed * 7 + step * 13) % 60, ready.set)
            assert ready.wait(10)
            most[0] = max(most[0], budget.held)
            budget.release(share)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.held == 0
    assert 0 < most[0] <= 100
