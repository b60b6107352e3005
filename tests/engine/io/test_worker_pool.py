from collections.abc import Callable

import pytest

from cloudseg_ops.contracts.errors import HelperLostError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Evidence
from cloudseg_ops.engine.io.items import Computed, Item
from cloudseg_ops.engine.io.threads import Fetched, Need, Published
from cloudseg_ops.engine.io.worker_pool import IoWorkerPool, Load, helpers_to_add

BOUND = Load(starved=0.5, busy=0.9, seconds_left=60)


def test_helper_is_added_if_the_gil_is_the_bottleneck() -> None:
    assert helpers_to_add(BOUND, helpers=0, cpus=2) == 1
    assert helpers_to_add(BOUND, helpers=6, cpus=8) == 1


def test_first_helper_on_a_gpu_is_added_despite_busy_workers() -> None:
    load = Load(starved=0.0, busy=0.9, seconds_left=60, on_gpu=True)
    assert helpers_to_add(load, helpers=0, cpus=8) == 1
    assert helpers_to_add(load, helpers=1, cpus=8) == 0
    assert helpers_to_add(Load(0.0, 0.2, 60, on_gpu=True), helpers=0, cpus=8) == 0


def test_helpers_double_while_cpus_are_free() -> None:
    helpers, steps = 0, []
    while more := helpers_to_add(BOUND, helpers=helpers, cpus=16):
        helpers += more
        steps.append(helpers)
    assert steps == [1, 3, 7, 15]


@pytest.mark.parametrize(
    ("load", "helpers", "cpus"),
    [
        (BOUND, 0, 1),
        (BOUND, 1, 2),
        (Load(starved=0.1, busy=0.9, seconds_left=60), 0, 8),
        (Load(starved=0.9, busy=0.2, seconds_left=60), 0, 8),
        (Load(starved=0.9, busy=0.9, seconds_left=3), 0, 8),
    ],
    ids=["one CPU", "no CPU left", "network is the bottleneck", "storage is the bottleneck", "almost done"],
)
def test_no_helper_is_added_if_it_would_not_help(load: Load, helpers: int, cpus: int) -> None:
    assert not helpers_to_add(load, helpers=helpers, cpus=cpus)


class Recorder:
    """Records the requests, and leaves the replies to the test."""

    alive = True

    def __init__(self) -> None:
        self.replies: list[Callable[[Exception], None]] = []
        self.closed = False

    def fetch(self, item: Item, need: Need, reply: Callable[[Fetched], None]) -> None:
        self.replies.append(reply)

    def publish(self, computed: Computed, reply: Callable[[Published], None]) -> None:
        self.replies.append(reply)

    def close(self) -> None:
        self.closed = True


def item(index: int) -> Item:
    return Item(index, InputObject(str(index), 1, 1, ""), Evidence(None, None, None))


def test_work_goes_to_the_least_loaded_process() -> None:
    own, helper = Recorder(), Recorder()
    ready: list[Callable[[], None]] = []

    def spawn(on_ready: Callable[[], None]) -> Recorder:
        ready.append(on_ready)
        return helper

    pool = IoWorkerPool(own, spawn)  # type: ignore[arg-type]
    got: list[Fetched] = []
    pool.grow()
    for index in range(4):
        pool.fetch(item(index), lambda *_: None, got.append)
    assert (pool.size, len(own.replies), len(helper.replies)) == (1, 4, 0)
    ready[0]()
    assert pool.size == 2
    for index in range(4, 10):
        pool.fetch(item(index), lambda *_: None, got.append)
    assert (len(own.replies), len(helper.replies)) == (5, 5)
    for reply in helper.replies:
        reply(ValueError("done"))
    assert len(got) == 5
    for index in range(10, 15):
        pool.fetch(item(index), lambda *_: None, got.append)
    assert (len(own.replies), len(helper.replies)) == (5, 10)
    pool.close()
    assert own.closed
    assert helper.closed


def test_engine_process_with_a_gpu_leaves_io_to_its_helpers() -> None:
    own, helper = Recorder(), Recorder()
    pool = IoWorkerPool(own, lambda on_ready: helper, relieve=True)  # type: ignore[arg-type, return-value]
    got: list[Fetched] = []
    pool.fetch(item(0), lambda *_: None, got.append)
    pool._members.append(helper)
    pool._in_flight[helper] = 0
    for index in range(1, 5):
        pool.fetch(item(index), lambda *_: None, got.append)
    assert (len(own.replies), len(helper.replies)) == (1, 4)
    pool._members.remove(helper)
    helper.replies[0](HelperLostError("gone"))
    assert len(own.replies) == 2


def test_work_of_a_lost_helper_is_repeated() -> None:
    own, helper = Recorder(), Recorder()
    pool = IoWorkerPool(own, lambda on_ready: helper)  # type: ignore[arg-type, return-value]
    pool._members.append(helper)
    pool._in_flight[helper] = 0
    got: list[Fetched] = []
    for index in range(2):
        pool.fetch(item(index), lambda *_: None, got.append)
    pool._members.remove(helper)
    helper.replies[0](HelperLostError("gone"))
    assert got == []
    assert len(own.replies) == 2
    own.replies[1](ValueError("done by the other"))
    assert len(got) == 1
