"""Running out of a GPU's memory, for real."""

from __future__ import annotations

import logging

import pytest
import torch

from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.network.adaptive import AdaptivePredictor
from cloudseg_ops.engine.network.precision import AGREEMENT
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.engine.scheduling.tuning import BatchTuner
from tests.cuda.samples import agreement, model, photograph, predictor, scene
from tests.support.lab import Lab, run

pytestmark = pytest.mark.cuda


def limit_memory(images: int, width: int, height: int, share: float = 1.2) -> None:
    """Limit memory to a share of what a forward pass of the example model over this many images takes."""
    on_device = predictor("unet", torch.device("cuda"))
    one = DecodedImage(scene(0, width, height).pixels)
    on_device.predict([one])
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    on_device.predict([one] * images)
    need = torch.cuda.max_memory_allocated() - before
    del on_device
    torch.cuda.empty_cache()
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + share * need) / total)


def test_batches_are_halved_and_every_mask_is_correct(gpu: torch.device, caplog: pytest.LogCaptureFixture) -> None:
    images = [scene(seed % 6, 512, 512) for seed in range(16)]
    on_device = predictor("unet", gpu)
    expected = on_device.predict(images)
    limit_memory(4, 512, 512)
    adaptive = AdaptivePredictor(on_device, BatchTuner(16, 10**9), Stop(), workers=1, threads=1)
    got = adaptive.predict(images)
    assert "16 images of 512 × 512 did not fit into memory" in caplog.text
    assert adaptive.limit((512, 512)) < 16
    assert agreement(expected, got) >= AGREEMENT


def test_image_too_large_for_memory_is_tiled(gpu: torch.device, caplog: pytest.LogCaptureFixture) -> None:
    image = scene(0, 2048, 1536)
    on_device = predictor("unet", gpu)
    (expected,) = on_device.predict([image])
    # Far less, because cuDNN uses a smaller workspace before memory runs out.
    limit_memory(1, 2048, 1536, share=0.3)
    (got,) = AdaptivePredictor(on_device, BatchTuner(1, 10**9), Stop(), workers=1, threads=1).predict([image])
    assert "1 images of 1536 × 2048 did not fit into memory" in caplog.text
    assert agreement([expected], [got]) >= AGREEMENT


def test_chunk_succeeds_with_less_memory_than_expected(
    gpu: torch.device, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ref, weights = model("unet")
    lab.use_model(weights, ref.params.model_copy(update={"max_side": None}))
    lab.set(batch=16)
    sources = [lab.put(f"{index}.jpg", photograph(index, 512, 512)) for index in range(48)]
    sources.append(lab.put("large.jpg", photograph(0, 2304, 1728)))
    lab.write_chunk(sources)
    limit_memory(4, 512, 512)
    run(lab)
    assert "did not fit into memory" in caplog.text
    assert set(lab.outcomes().values()) == {"done"}
    assert lab.mask("large.jpg").size == (2304, 1728)
