"""Masks from a GPU match those of float32 on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.sizes import padded_size
from cloudseg_ops.engine.network.precision import AGREEMENT
from tests.cuda.samples import CPU, MODELS, agreement, predictor, scene

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("name", MODELS)
def test_masks_agree_with_float32_on_the_cpu(device: torch.device, name: str, precision: str) -> None:
    images = [scene(seed, 256, 192) for seed in range(8)]
    exact = predictor(name, CPU).predict(images)
    assert len(np.unique(exact[0].classes)) == 2
    on_device = predictor(name, device, precision)
    assert agreement(exact, on_device.predict(images)) >= AGREEMENT
    alone = [on_device.predict([image])[0] for image in images]
    assert agreement(exact, alone) >= AGREEMENT


@pytest.mark.parametrize("name", MODELS)
def test_batch_of_mixed_sizes_and_scaled_images(device: torch.device, name: str) -> None:
    exact, on_device = predictor(name, CPU), predictor(name, device)
    sizes = [(256, 192), (250, 190), (241, 177)]
    images = [scene(seed, *size) for seed, size in enumerate(sizes)]
    images.append(DecodedImage(scene(3, 256, 192).pixels, (400, 533)))
    assert len({padded_size((image.height, image.width), 16) for image in images}) == 1
    for one, other, image in zip(exact.predict(images), on_device.predict(images), images, strict=True):
        assert one.values.shape == other.values.shape
        masks = one.restored(image.mask_size), other.restored(image.mask_size)
        assert np.mean(masks[0] == masks[1]) >= AGREEMENT


def test_batch_of_deep_and_eight_bit_images(device: torch.device) -> None:
    images = [scene(0, 64, 64), DecodedImage(scene(1, 64, 64).pixels.astype(np.float32) / np.float32(255))]
    both = predictor("unet", CPU).predict(images), predictor("unet", device).predict(images)
    assert agreement(*both) >= AGREEMENT


@pytest.mark.parametrize(("precision", "apart", "alike"), [("fp32", 1e-3, 0.9999), ("bf16", 0.05, 0.998)])
@pytest.mark.parametrize("name", MODELS)
def test_tiles_give_the_same_logits_as_the_whole_image(
    device: torch.device, name: str, precision: str, apart: float, alike: float
) -> None:
    on_device = predictor(name, device, precision)
    # With a different size, logits come back instead of classes.
    image = DecodedImage(scene(0, 560, 480).pixels, (960, 1120))
    whole = on_device.predict([image])[0].values
    tiled = on_device.predict_tiled(image, 336 * 336).values
    assert whole.shape == tiled.shape == (1, 480, 560)
    assert np.abs(whole - tiled).max() <= apart * np.abs(whole).max()
    classes = DecodedImage(image.pixels)
    assert agreement(on_device.predict([classes]), [on_device.predict_tiled(classes, 336 * 336)]) >= alike


def test_predictions_do_not_share_memory(device: torch.device) -> None:
    on_device = predictor("unet", device)
    first = on_device.predict([scene(0, 64, 64), scene(1, 64, 64)])
    kept = [prediction.values.copy() for prediction in first]
    for seed in range(20):
        on_device.predict([scene(seed % 6, 64, 64), scene((seed + 1) % 6, 64, 64)])
    assert all(np.array_equal(one.values, copy) for one, copy in zip(first, kept, strict=True))
