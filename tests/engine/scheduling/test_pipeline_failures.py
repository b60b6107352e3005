"""Failures and stops of the pipeline."""

import threading
import time
from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from cloudseg_ops.contracts.errors import DeviceError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Prediction
from cloudseg_ops.engine.io.items import Item
from cloudseg_ops.engine.io.threads import ThreadIo
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.engine.scheduling.compute_workers import ComputeWorkers
from cloudseg_ops.engine.scheduling.pipeline import Bounds, Pipeline
from cloudseg_ops.engine.scheduling.result_log import ResultLog
from tests.engine.scheduling.pipeline_steps import MIB, NOTHING, Steps, inputs, run, threads_of_a_pipeline, wait_until


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


def test_no_thread_outlives_its_run() -> None:
    run(Steps(), inputs(range(20)))
    assert wait_until(lambda: not threads_of_a_pipeline()), threads_of_a_pipeline()
