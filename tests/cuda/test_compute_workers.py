"""Two compute workers on one GPU: each image gets its mask, whatever the other worker does."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Evidence
from cloudseg_ops.engine.images.masks import Prediction
from cloudseg_ops.engine.images.sizes import padded_size
from cloudseg_ops.engine.io.items import Item
from cloudseg_ops.engine.network.adaptive import AdaptivePredictor
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.engine.scheduling.compute_workers import ComputeWorkers, Job
from cloudseg_ops.engine.scheduling.tuning import BatchTuner
from tests.cuda.samples import CPU, predictor, small_images

pytestmark = pytest.mark.cuda

_SECONDS = 90.0


@pytest.mark.parametrize(("precision", "of_one", "of_all"), [("fp32", 0.02, 0.001), ("bf16", 0.05, 0.002)])
def test_a_thousand_small_images_get_their_masks(
    device: torch.device, count: int, precision: str, of_one: float, of_all: float
) -> None:
    images = small_images(count)
    on_device = predictor("unet", device, precision)
    got: dict[int, Prediction | Exception | None] = {}
    done = threading.Event()

    def record(job: Job, prediction: Prediction | Exception | None) -> None:
        got[job.item.index] = prediction
        if len(got) == count:
            done.set()

    adaptive = AdaptivePredictor(on_device, BatchTuner(4, 10**8), Stop(), workers=2, threads=1)
    workers = ComputeWorkers(lambda _: adaptive, Stop(), lambda: True, record)
    workers.start()
    for index, image in enumerate(images):
        item = Item(index, InputObject(str(index), 1, 1, ""), Evidence(None, None, None))
        workers.put(Job(item, image, time.monotonic(), padded_size((image.height, image.width), 16)))
    assert done.wait(_SECONDS), workers.failure
    workers.close()

    exact = predictor("unet", CPU)
    pixels = wrong = 0
    for index, image in enumerate(images):
        prediction = got[index]
        assert isinstance(prediction, Prediction), prediction
        (expected,) = exact.predict([image])
        differing = int(np.count_nonzero(prediction.classes != expected.classes))
        # Rounding changes single pixels; the mask of another image, or half a copy, would change whole areas.
        assert differing <= of_one * expected.classes.size, (index, image.pixels.shape, differing)
        pixels, wrong = pixels + expected.classes.size, wrong + differing
    assert wrong <= of_all * pixels


def test_waiting_for_the_gpu_uses_no_cpu(gpu: torch.device) -> None:
    on_device = predictor("unet", gpu)
    images = small_images(64, (64,)) * 16
    on_device.predict(images)
    own, began = time.thread_time(), time.monotonic()
    queued = torch.zeros(8192, 8192, device=gpu)
    for _ in range(40):
        queued = queued @ queued
    on_device.predict(images[:4])
    waited, took = time.monotonic() - began, time.thread_time() - own
    assert waited > 0.2, "the GPU was done at once: nothing was waited for"
    assert took < 0.5 * waited
