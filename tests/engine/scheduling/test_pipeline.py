import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pytest

from cloudseg_ops.contracts.errors import DeviceError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Evidence
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Prediction
from cloudseg_ops.engine.io.items import Computed, Item
from cloudseg_ops.engine.io.threads import ThreadIo
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.engine.scheduling.compute_workers import ComputeWorkers
from cloudseg_ops.engine.scheduling.pipeline import Bounds, Pipeline
from cloudseg_ops.engine.scheduling.result_log import ResultLog

MIB = 2**20
NOTHING = Evidence(None, None, None)


class Steps:
    """I/O and a model that take a short time, count what they hold, and fail on request."""

    workers = 1
    on_gpu = False

    def __init__(self, fail_at: str = "", bad: Iterable[str] = (), slow: str = "", seconds: float = 0.0) -> None:
        self.fail_at, self.bad = fail_at, set(bad)
        self.slow, self.seconds = slow, seconds
        self.image_bytes = 100
        self.lock = threading.Lock()
        self.held = self.most_held = 0
        self.batches: list[int] = []
        self.began = threading.Event()

    def _hold(self, change: int) -> None:
        with self.lock:
            self.held += change
            self.most_held = max(self.most_held, self.held)

    def _step(self, name: str, images: Iterable[str]) -> None:
        self.began.set()
        if name == self.slow:
            time.sleep(self.seconds)
        if name == self.fail_at and (found := self.bad & set(images)):
            raise ValueError(f"{name} failed for {sorted(found)}")

    def fetch(self, item: Item, reserve: Callable[[int], None]) -> DecodedImage | Result:
        name = item.source.name
        if name.startswith("gone"):
            return Result(item.source, Outcome.VANISHED)
        self._step("fetch", [name])
        reserve(self.image_bytes)
        self._hold(1)
        number = int(name)
        return DecodedImage(np.full((1 + number % 2, 4, 3), number % 251, np.uint8))

    def limit(self, size: tuple[int, int]) -> int:
        return 4

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        yield

    def predict(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        with self.lock:
            self.batches.append(len(images))
        assert len({image.height for image in images}) == 1
        self._step("predict", [str(image.pixels[0, 0, 0]) for image in images])
        return [Prediction(np.array(image.pixels[..., 0], np.uint8)) for image in images]

    def quarantine(self, item: Item, reason: str, began: float) -> Result:
        return Result(item.source, Outcome.QUARANTINED, reason=reason)

    def publish(self, computed: Computed) -> Result:
        name = computed.item.source.name
        assert int(name) % 251 == computed.prediction.classes[0, 0]
        self._hold(-1)
        self._step("publish", [name])
        return Result(computed.item.source, Outcome.DONE, seconds=time.monotonic() - computed.began)


def inputs(names: Iterable[object], size: int = 1) -> list[InputObject]:
    return [InputObject(str(name), 1, size, "") for name in names]


def run(
    steps: Steps,
    sources: list[InputObject],
    *,
    stop: Stop | None = None,
    feed: Iterable[Item] | None = None,
    places: int = 16,
    bounds: tuple[int, int] = (MIB, MIB),
    fetching: Callable[[int], int] = lambda _: 100,
) -> tuple[ResultLog, Pipeline]:
    result_log = ResultLog(len(sources))
    stop = stop or Stop()
    pipeline = Pipeline(
        ThreadIo(steps, 3, 2),
        lambda expecting, done: ComputeWorkers(lambda _: steps, stop, expecting, done),
        stride=1,
        record=result_log.record,
        preview=lambda *_: None,
        stop=stop,
        gives_up=lambda: result_log.gives_up,
        bounds=Bounds(lambda: places, fetching, *bounds),
    )
    items = [Item(index, source, NOTHING) for index, source in enumerate(sources)]
    pipeline.run(items if feed is None else feed)
    return result_log, pipeline


@pytest.mark.parametrize("number", [0, 1, 200])
@pytest.mark.parametrize("workers", [1, 3])
def test_every_image_comes_out_once(number: int, workers: int) -> None:
    steps = Steps()
    steps.workers = workers
    result_log, pipeline = run(steps, inputs(range(number)))
    assert result_log.complete
    assert [int(Result.from_line(line).source.name) for line in result_log.lines()] == list(range(number))
    assert sum(steps.batches) == number
    assert pipeline.in_flight == 0


@pytest.mark.parametrize("slow", ["fetch", "predict", "publish"])
def test_images_in_flight_are_bounded(slow: str) -> None:
    steps = Steps(slow=slow, seconds=0.003)
    result_log, _ = run(steps, inputs(range(120)), places=7)
    assert result_log.complete
    assert steps.most_held <= 7


def test_little_is_fetched_ahead_of_a_slow_network() -> None:
    steps = Steps(slow="predict", seconds=0.003)
    result_log, _ = run(steps, inputs(range(60)), places=50, fetching=lambda waiting: 3 - min(3, waiting))
    assert result_log.complete
    assert steps.most_held <= 3 + 4


def test_bytes_of_decoded_images_are_bounded() -> None:
    steps = Steps(slow="predict", seconds=0.003)
    steps.image_bytes = 30
    result_log, pipeline = run(steps, inputs(range(60)), bounds=(MIB, 100))
    assert result_log.complete
    # Once decoded, each shrinks to two copies of its pixels and a mask: at most 28 or 56 bytes at a time here.
    assert steps.most_held <= 4
    assert pipeline._image_budget.held == 0


def test_bytes_of_downloads_are_bounded() -> None:
    steps = Steps(slow="fetch", seconds=0.003)
    result_log, pipeline = run(steps, inputs(range(30), size=60), bounds=(100, MIB))
    assert result_log.complete
    assert pipeline._download_budget.held == 0


def test_image_above_the_memory_budget_is_processed_alone() -> None:
    steps = Steps()
    steps.image_bytes = 500
    result_log, _ = run(steps, inputs(range(20), size=500), bounds=(100, 100))
    assert result_log.complete
    assert steps.most_held == 1


def test_batches_fill_up_when_computing_is_slow() -> None:
    steps = Steps(slow="predict", seconds=0.01)
    run(steps, inputs(range(100)))
    assert max(steps.batches) == 4
    assert len(steps.batches) < 60


def test_vanished_inputs_do_not_wait_for_the_network() -> None:
    result_log, _ = run(Steps(), inputs(["gone-1", 5, "gone-2"]))
    assert result_log.counts() == {Outcome.VANISHED: 2, Outcome.DONE: 1}


def test_a_chunk_without_images_needs_no_model() -> None:
    result_log, pipeline = run(Steps(), inputs(["gone-1", "gone-2"]))
    assert result_log.complete
    assert pipeline.workers.count == 0


@pytest.mark.parametrize("stage", ["fetch", "predict", "publish"])
def test_a_failure_costs_only_its_image(stage: str) -> None:
    result_log, _ = run(Steps(stage, bad=["7", "8", "20"]), inputs(range(40)))
    assert {source.name for source, _ in result_log.first_failures} == {"7", "8", "20"}
    assert (result_log.accounted, result_log.failed) == (37, 3)


def test_pipeline_gives_up_when_every_image_fails() -> None:
    names = range(500)
    result_log, _ = run(Steps("fetch", bad=map(str, names)), inputs(names))
    assert result_log.gives_up
    assert 32 <= result_log.failed <= 32 + 16


def test_stop_finishes_images_in_flight_and_starts_no_others() -> None:
    stop, steps = Stop(), Steps(slow="predict", seconds=0.05)

    def request() -> None:
        steps.began.wait()
        time.sleep(0.3)
        stop.request()

    stopper = threading.Thread(target=request)
    stopper.start()
    result_log, pipeline = run(steps, inputs(range(400)), stop=stop)
    stopper.join()
    assert 0 < result_log.accounted < 400
    assert result_log.failed == 0
    assert steps.held == 0
    assert pipeline.in_flight == 0


def interrupted(sources: list[InputObject], error: BaseException) -> Iterable[Item]:
    yield from (Item(index, source, NOTHING) for index, source in enumerate(sources[:30]))
    raise error


@pytest.mark.timeout(20)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the list broke off")])
def test_an_error_in_the_input_stream_ends_the_run(error: BaseException) -> None:
    sources = inputs(range(100))
    with pytest.raises(type(error)):
        run(Steps(slow="predict", seconds=0.01), sources, feed=interrupted(sources, error))


class Miscounting(Steps):
    def predict(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        return []


@pytest.mark.timeout(20)
def test_a_broken_worker_does_not_hang_the_run() -> None:
    with pytest.raises(ValueError, match="shorter"):
        run(Miscounting(), inputs(range(100)))


class OnFailingGpu(Steps):
    def predict(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        super().predict(images)
        if len(self.batches) > 3:
            raise DeviceError("the GPU failed while it computed")
        return [Prediction(np.array(image.pixels[..., 0], np.uint8)) for image in images]


@pytest.mark.timeout(20)
def test_gpu_failure_ends_the_run_without_retrying_single_images() -> None:
    steps = OnFailingGpu(slow="fetch", seconds=0.003)
    with pytest.raises(DeviceError):
        run(steps, inputs(range(100)))
    assert len(steps.batches) == 4
    assert wait_until(lambda: not threads_of_a_pipeline()), threads_of_a_pipeline()


@pytest.mark.timeout(20)
def test_a_model_that_cannot_be_loaded_ends_the_run() -> None:
    stop = Stop()

    def load(images: Sequence[DecodedImage]) -> Steps:
        raise LookupError(f"no model for {len(images)} images")

    result_log = ResultLog(5)
    pipeline = Pipeline(
        ThreadIo(Steps(), 3, 2),
        lambda expecting, done: ComputeWorkers(load, stop, expecting, done),
        stride=1,
        record=result_log.record,
        preview=lambda *_: None,
        stop=stop,
        gives_up=lambda: False,
        bounds=Bounds(lambda: 8, lambda _: 8, MIB, MIB),
    )
    with pytest.raises(LookupError, match="no model"):
        pipeline.run([Item(index, source, NOTHING) for index, source in enumerate(inputs(range(5)))])


def threads_of_a_pipeline() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith(("download", "upload", "compute"))]


def wait_until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_no_thread_outlives_its_run() -> None:
    run(Steps(), inputs(range(20)))
    assert wait_until(lambda: not threads_of_a_pipeline()), threads_of_a_pipeline()
