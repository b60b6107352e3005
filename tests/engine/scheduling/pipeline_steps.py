"""I/O and a model for tests of the pipeline, which runs them in a few milliseconds."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

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


def threads_of_a_pipeline() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith(("download", "upload", "compute"))]


def wait_until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()
