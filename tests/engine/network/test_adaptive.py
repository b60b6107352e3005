import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from cloudseg_ops.contracts.errors import (
    DeviceError,
    EngineError,
    ImageTooLargeError,
    LowPrecisionError,
    NonFiniteLogitsError,
)
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.pixels import Pixels
from cloudseg_ops.engine.network import adaptive
from cloudseg_ops.engine.network.adaptive import AdaptivePredictor
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.predict import Predictor
from cloudseg_ops.engine.process.stopping import COMPUTE_SECONDS, Stop
from cloudseg_ops.engine.scheduling.tuning import BatchTuner
from tests.support.lab import model_ref, noise, state_bytes, tiny_unet, unet_params
from tests.support.programs import Sensitive, exported, exported_params

CPU = torch.device("cpu")
IMAGES = [DecodedImage(noise(64, 48, seed=seed)) for seed in range(8)]
WEIGHTS = state_bytes(tiny_unet())
REF = model_ref(WEIGHTS, unet_params())


def plain() -> Predictor:
    return Predictor(REF, load_network(REF, WEIGHTS, CPU))


class Cramped(Predictor):
    """A device whose memory fits at most three images."""

    batches: list[int]

    def predict(self, images: Sequence[DecodedImage]) -> list[object]:  # type: ignore[override]
        self.batches.append(len(images))
        if len(images) > 3:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")
        return super().predict(images)  # type: ignore[return-value]


def test_batches_are_halved_until_they_fit_into_memory(caplog: pytest.LogCaptureFixture) -> None:
    cramped = Cramped(REF, load_network(REF, WEIGHTS, CPU))
    cramped.batches = []
    tuner = BatchTuner(8, 10**9)
    predictor = AdaptivePredictor(cramped, tuner, Stop(), workers=1, threads=1)
    got = predictor.predict(IMAGES)
    expected = plain().predict(IMAGES)
    for one, other in zip(got, expected, strict=True):
        assert np.array_equal(one.classes, other.classes)
    assert cramped.batches == [8, 4, 2, 2, 4, 2, 2]
    assert predictor.limit((48, 64)) == 2
    assert "8 images of 48 × 64 did not fit into memory" in caplog.text


def test_other_errors_are_not_hidden() -> None:
    class Broken(Predictor):
        def predict(self, images: Sequence[DecodedImage]) -> list[object]:  # type: ignore[override]
            raise RuntimeError("shapes cannot be multiplied")

    predictor = AdaptivePredictor(
        Broken(REF, load_network(REF, WEIGHTS, CPU)), BatchTuner(8, 10**9), Stop(), workers=1, threads=1
    )
    with pytest.raises(RuntimeError, match="multiplied"):
        predictor.predict(IMAGES)


def test_program_with_batch_size_one_gets_single_images(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one = Predictor(REF, replace(load_network(REF, WEIGHTS, CPU), batch=1))
    assert AdaptivePredictor(one, BatchTuner(8, 10**9), Stop(), workers=1, threads=1).limit((48, 64)) == 1


_LIMITED = """
import resource, torch
from tests.engine.network.test_adaptive import *
torch.set_num_threads(1)
network = tiny_unet()
images = [DecodedImage(noise(512, 512, seed=seed % 3)) for seed in range(64)]
predictor = AdaptivePredictor(plain(), BatchTuner(64, 10**9), Stop(), workers=1, threads=1)
predictor.predict(images[:1])
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + 600 * 2**20,) * 2)
print(len(predictor.predict(images)), predictor.limit((512, 512)))
"""


@pytest.mark.slow
def test_a_process_with_limited_memory_uses_smaller_batches() -> None:
    done = subprocess.run([sys.executable, "-c", _LIMITED], capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    images, limit = map(int, done.stdout.split())
    assert images == 64
    assert 1 <= limit < 64


def test_an_image_that_does_not_fit_into_memory_gives_the_same_mask_in_tiles() -> None:
    (image,) = [DecodedImage(noise(400, 300))]
    whole = plain().predict([image])[0].classes
    tiled = (
        AdaptivePredictor(plain(), BatchTuner(1, 150 * 150), Stop(), workers=1, threads=1).predict([image])[0].classes
    )
    assert np.array_equal(whole, tiled)
    assert len(np.unique(whole)) == 2


def test_tiles_that_do_not_fit_shrink_to_the_minimum() -> None:
    class Tight(Predictor):
        """A device whose memory fits at most 120 × 120 pixels."""

        most = 120 * 120

        def _logits(self, images: Sequence[Pixels]) -> torch.Tensor:
            if len(images) * self.inputs.work(images[0].shape[:2]).pixels > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super()._logits(images)

    tight = Tight(REF, load_network(REF, WEIGHTS, CPU))
    image = DecodedImage(noise(400, 300))
    tuner = BatchTuner(1, 10**9)
    got = AdaptivePredictor(tight, tuner, Stop(), workers=1, threads=1).predict([image])[0].classes
    assert np.array_equal(got, plain().predict([image])[0].classes)
    assert tuner.max_pixels < 2 * Tight.most
    Tight.most = 30 * 30
    with pytest.raises(ImageTooLargeError, match=r"400 × 300 pixels .* upload it again"):
        AdaptivePredictor(tight, BatchTuner(1, 10**9), Stop(), workers=1, threads=1).predict([image])


def test_an_image_that_was_scaled_down_gives_logits_in_tiles_too() -> None:
    image = DecodedImage(noise(200, 160), (320, 400))
    whole = plain().predict([image])[0].values
    tiled = (
        AdaptivePredictor(plain(), BatchTuner(1, 100 * 100), Stop(), workers=1, threads=1).predict([image])[0].values
    )
    assert whole.shape == tiled.shape == (1, 160, 200)
    assert np.abs(whole - tiled).max() < 1e-4 * np.abs(whole).max()


def test_a_stop_does_not_wait_for_all_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Stop()
    stop.request()
    predictor = AdaptivePredictor(plain(), BatchTuner(1, 150 * 150), stop, workers=1, threads=1)
    image = DecodedImage(noise(400, 300))
    assert len(predictor.predict([image])) == 1
    monkeypatch.setattr(Stop, "seconds_since", COMPUTE_SECONDS + 1)
    with pytest.raises(EngineError, match="stopped on request in the middle"):
        predictor.predict([image])


class Broken(Predictor):
    """A predictor on a GPU that raises a given error."""

    def break_with(self, error: Exception) -> None:
        self.error = error
        self.network = replace(self.network, device=torch.device("cuda"))

    def predict(self, images: Sequence[DecodedImage]) -> list[object]:  # type: ignore[override]
        raise self.error


def on_broken_gpu(error: Exception) -> AdaptivePredictor:
    broken = Broken(REF, load_network(REF, WEIGHTS, CPU))
    broken.break_with(error)
    return AdaptivePredictor(broken, BatchTuner(8, 10**9), Stop(), workers=2, threads=1)


def test_a_gpu_that_failed_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive, "_gpu_memory", lambda: 10**10)
    with pytest.raises(DeviceError, match=r"failed while it computed \(AcceleratorError: CUDA error: unspecified"):
        on_broken_gpu(torch.AcceleratorError("CUDA error: unspecified launch failure")).predict(IMAGES)


def test_memory_taken_by_another_process_is_not_blamed_on_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    left = [10 * 2**30]
    monkeypatch.setattr(adaptive, "_gpu_memory", lambda: left[0])
    crowded = on_broken_gpu(torch.OutOfMemoryError("CUDA out of memory"))
    left[0] = 4 * 2**30
    with pytest.raises(DeviceError, match=r": 4 GiB are available .* and 10 GiB were .*another process"):
        crowded.predict(IMAGES[:1])
    left[0] = 6 * 2**30
    with pytest.raises(ImageTooLargeError):
        crowded.predict([DecodedImage(noise(400, 300))])


def in_bf16(predictor: Predictor, max_pixels: int = 10**9) -> AdaptivePredictor:
    return AdaptivePredictor(predictor, BatchTuner(1, max_pixels), Stop(), workers=1, threads=1)


def test_an_image_whose_logits_are_not_finite_in_bfloat16_is_computed_in_float32() -> None:
    weights = exported(Sensitive())
    ref = model_ref(weights, exported_params())
    coarse = Predictor(ref, load_network(ref, weights, CPU).in_bf16())
    pixels = np.full((32, 40, 3), 100, np.uint8)
    pixels[:20] = 40
    pixels[-1] = 255  # in bfloat16, the logarithm of 0
    (got,) = in_bf16(coarse).predict([DecodedImage(pixels)])
    assert (got.classes[:20] == 0).all()
    assert (got.classes[20:] == 1).all()
    # In a batch, any of the images may be the cause.
    with pytest.raises(LowPrecisionError):
        in_bf16(coarse).predict([DecodedImage(pixels)] * 2)
    # If float32 needs tiles, and the network does not allow them, the next try chooses the precision again.
    with pytest.raises(LowPrecisionError):
        in_bf16(coarse, 32 * 40).predict([DecodedImage(pixels)])
    with pytest.raises(NonFiniteLogitsError, match="computed in float32") as raised:
        in_bf16(coarse).predict([DecodedImage(np.zeros((32, 40, 3), np.uint8))])
    assert type(raised.value) is NonFiniteLogitsError


def test_in_float32_an_image_may_need_tiles() -> None:
    class Never(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.full((len(images), 1, *images.shape[2:]), float("nan"))

    exact = plain()
    coarse = Predictor(REF, replace(exact.network, forward=Never(), autocast=True, exact=exact.network))
    image = DecodedImage(noise(200, 160))
    expected = exact.predict([image])[0].classes
    assert np.array_equal(in_bf16(coarse, 160 * 200).predict([image])[0].classes, expected)
