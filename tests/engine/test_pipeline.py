import threading
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest

from cloudseg_ops.engine.decode import DecodedImage
from cloudseg_ops.engine.ledger import Ledger
from cloudseg_ops.engine.masks import Classes
from cloudseg_ops.engine.pipeline import Pipeline
from cloudseg_ops.engine.stopping import Stop
from cloudseg_ops.objects import InputObject
from cloudseg_ops.results import Outcome, Result


class Steps:
    """Stages that take a moment, count what they hold, and fail where they are told to."""

    def __init__(self, fail_at: str = "", bad: Iterable[str] = (), slow: str = "", seconds: float = 0.0) -> None:
        self.fail_at, self.bad = fail_at, set(bad)
        self.slow, self.seconds = slow, seconds
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

    def fetch(self, source: InputObject) -> DecodedImage | Result:
        if source.name.startswith("gone"):
            return Result(source, Outcome.VANISHED)
        self._step("fetch", [source.name])
        self._hold(1)
        number = int(source.name)
        return DecodedImage(np.full((1 + number % 2, 4, 3), number % 251, np.uint8))

    def padded_size(self, image: DecodedImage) -> tuple[int, int]:
        return image.height, image.width

    def predict(self, images: Sequence[DecodedImage]) -> list[Classes]:
        with self.lock:
            self.batches.append(len(images))
        assert len({image.height for image in images}) == 1
        self._step("predict", [str(image.pixels[0, 0, 0]) for image in images])
        return [np.array(image.pixels[..., 0]) for image in images]

    def publish(self, source: InputObject, image: DecodedImage, classes: Classes, began: float) -> Result:
        assert int(source.name) % 251 == classes[0, 0]
        self._hold(-1)
        self._step("publish", [source.name])
        return Result(source, Outcome.DONE, seconds=time.monotonic() - began)


def inputs(names: Iterable[object]) -> list[InputObject]:
    return [InputObject(str(name), 1, 1, "") for name in names]


def run(
    steps: Steps, sources: list[InputObject], stop: Stop | None = None, feed: Iterable[InputObject] | None = None
) -> tuple[Ledger, Pipeline]:
    ledger = Ledger(sources)
    pipeline = Pipeline(
        steps,
        ledger.record,
        stop or Stop(),
        lambda: ledger.hopeless,
        batch=4,
        downloads=3,
        uploads=2,
    )
    pipeline.run(feed if feed is not None else ledger.sources)
    return ledger, pipeline


@pytest.mark.parametrize("number", [0, 1, 200])
def test_every_image_comes_out_once(number: int) -> None:
    steps = Steps()
    ledger, _ = run(steps, inputs(range(number)))
    assert ledger.complete
    assert [int(result.source.name) for result in ledger.results()] == list(range(number))
    assert sum(steps.batches) == number


@pytest.mark.parametrize("slow", ["fetch", "predict", "publish"])
def test_images_in_flight_are_bounded(slow: str) -> None:
    steps = Steps(slow=slow, seconds=0.003)
    ledger, pipeline = run(steps, inputs(range(120)))
    assert ledger.complete
    assert steps.most_held <= pipeline.capacity == 3 + 2 * 4 + 2


def test_batches_fill_up_when_computing_is_slow() -> None:
    steps = Steps(slow="predict", seconds=0.01)
    run(steps, inputs(range(100)))
    assert max(steps.batches) == 4
    assert len(steps.batches) < 60


def test_what_needs_no_computing_does_not_wait_for_it() -> None:
    ledger, _ = run(Steps(), inputs(["gone-1", 5, "gone-2"]))
    assert ledger.counts() == {Outcome.VANISHED: 2, Outcome.DONE: 1}


@pytest.mark.parametrize("stage", ["fetch", "predict", "publish"])
def test_a_failure_costs_only_its_image(stage: str) -> None:
    ledger, _ = run(Steps(stage, bad=["7", "8", "20"]), inputs(range(40)))
    assert {source.name for source, _ in ledger.failures()} == {"7", "8", "20"}
    assert ledger.accounted == 37


def test_when_everything_fails_it_gives_up() -> None:
    names = range(500)
    ledger, pipeline = run(Steps("fetch", bad=map(str, names)), inputs(names))
    assert ledger.hopeless
    assert 32 <= len(ledger.failures()) <= 32 + pipeline.capacity


def test_a_stop_finishes_what_is_in_flight_and_takes_nothing_new() -> None:
    stop, steps = Stop(), Steps(slow="predict", seconds=0.05)
    sources = inputs(range(400))

    def request() -> None:
        steps.began.wait()
        time.sleep(0.3)
        stop.request()

    stopper = threading.Thread(target=request)
    stopper.start()
    ledger, pipeline = run(steps, sources, stop)
    stopper.join()
    assert 0 < ledger.accounted < 400
    assert ledger.failures() == []
    assert steps.held == 0
    assert pipeline._in_flight == 0


def interrupted(sources: list[InputObject], error: BaseException) -> Iterable[InputObject]:
    yield from sources[:30]
    raise error


@pytest.mark.timeout(20)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the list broke off")])
def test_an_interrupted_feed_ends_the_run(error: BaseException) -> None:
    sources = inputs(range(100))
    with pytest.raises(type(error)):
        run(Steps(slow="predict", seconds=0.01), sources, feed=interrupted(sources, error))


class Miscounting(Steps):
    def predict(self, images: Sequence[DecodedImage]) -> list[Classes]:
        return []


@pytest.mark.timeout(20)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_broken_computing_thread_does_not_hang_the_run() -> None:
    with pytest.raises(Exception, match="computing thread"):
        run(Miscounting(), inputs(range(100)))


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
