from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from cloudseg_ops.contracts.errors import LowPrecisionError, ModelLoadError, NonFiniteLogitsError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Classes
from cloudseg_ops.engine.images.sizes import padded_size
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.predict import Predictor
from tests.support.lab import model_ref, noise, overflowing_unet, state_bytes, tiny_unet, unet_params
from tests.support.programs import Brightness, exported, exported_params

NORMALIZE = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3)}


def predictor(weights: bytes, params: ModelParams) -> Predictor:
    ref = model_ref(weights, params)
    return Predictor(ref, load_network(ref, weights, torch.device("cpu")))


def masks_of(predictor: Predictor, given: Sequence[DecodedImage]) -> list[Classes]:
    return [
        prediction.restored(image.mask_size) for image, prediction in zip(given, predictor.predict(given), strict=True)
    ]


def images(sizes: Sequence[tuple[int, int]], channels: int = 3) -> list[DecodedImage]:
    return [
        DecodedImage(noise(width, height, channels, seed=seed).reshape(height, width, channels))
        for seed, (width, height) in enumerate(sizes)
    ]


def ready(image: DecodedImage, params: ModelParams) -> torch.Tensor:
    values = torch.tensor(image.pixels).permute(2, 0, 1)[None] / 255
    if params.normalize:
        mean, std = torch.tensor(params.normalize.mean), torch.tensor(params.normalize.std)
        values = (values - mean[:, None, None]) / std[:, None, None]
    return values


def plain_logits(network: nn.Module, image: DecodedImage, params: ModelParams) -> torch.Tensor:
    """Reference logits of a single image whose size needs no padding."""
    with torch.inference_mode():
        logits: torch.Tensor = network(ready(image, params))
    return logits


@pytest.mark.parametrize("n_classes", [1, 2, 5])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_batches_give_the_same_masks_as_single_images(n_classes: int, in_channels: int) -> None:
    params = unet_params(n_classes, in_channels, normalize=NORMALIZE if in_channels == 3 else None)
    given = images([(40, 28)] * 4, in_channels)
    network = tiny_unet(n_classes, in_channels, torch.cat([ready(image, params) for image in given]))
    masks = masks_of(predictor(state_bytes(network), params), given)
    for image, mask in zip(given, masks, strict=True):
        logits = plain_logits(network, image, params)[0]
        expected = logits[0] > 0 if n_classes == 1 else logits.argmax(0)
        assert mask.dtype == np.uint8
        assert mask.shape == (28, 40)
        assert (mask == expected.numpy()).mean() > 0.999
        assert len(np.unique(mask)) > 1


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2), (41, 29), (39, 28), (40, 31)])
def test_images_of_any_size_are_padded(size: tuple[int, int]) -> None:
    network = tiny_unet()
    (image,) = images([size])
    (mask,) = masks_of(predictor(state_bytes(network), unet_params()), [image])
    width, height = size
    right, below = -width % 4, -height % 4
    padded = DecodedImage(np.pad(image.pixels, ((0, below), (0, right), (0, 0)), mode="edge").astype(np.uint8))
    expected = plain_logits(network, padded, unet_params())[0, 0, :height, :width] > 0
    assert mask.shape == (height, width)
    assert np.array_equal(mask, expected.numpy())


def test_sizes_that_pad_to_the_same_share_a_batch() -> None:
    it = predictor(state_bytes(tiny_unet()), unet_params())
    given = images([(40, 28), (39, 27), (37, 25)])
    assert {padded_size((image.height, image.width), it.network.stride) for image in given} == {(28, 40)}
    for image, mask in zip(given, masks_of(it, given), strict=True):
        assert mask.shape == (image.height, image.width)
        assert np.array_equal(mask, masks_of(it, [image])[0])


def test_float_and_uint8_pixels_give_the_same_mask() -> None:
    it = predictor(state_bytes(tiny_unet()), unet_params())
    (image,) = images([(40, 28)])
    deep = DecodedImage(image.pixels.astype(np.float32) / np.float32(255))
    assert np.array_equal(masks_of(it, [image])[0], masks_of(it, [deep])[0])
    assert np.array_equal(masks_of(it, [image])[0], masks_of(it, [deep, image])[1])


@pytest.mark.parametrize("batch", [1, None])
def test_exported_program_gives_the_masks_of_its_network(batch: int | None) -> None:
    network = tiny_unet()
    it = predictor(exported(network, batch=batch), exported_params())
    assert it.network.any_batch is (batch is None)
    given = images([(40, 28)] * 3)
    masks = masks_of(it, given) if it.network.any_batch else [masks_of(it, [image])[0] for image in given]
    for image, mask in zip(given, masks, strict=True):
        assert np.array_equal(mask, (plain_logits(network, image, unet_params())[0, 0] > 0).numpy())
    assert masks_of(it, images([(13, 10)]))[0].shape == (10, 13)


def test_an_image_that_was_scaled_down_gets_a_mask_of_its_original_size() -> None:
    it = predictor(exported(Brightness()), exported_params(max_side=32))
    seen = np.zeros((20, 32, 3), np.uint8)
    seen[:, 16:] = 255
    (mask,) = masks_of(it, [DecodedImage(seen, (64, 100))])
    assert mask.shape == (64, 100)
    assert (mask[:, :47] == 0).all()
    assert (mask[:, 53:] == 1).all()


def test_scaled_and_unscaled_images_share_a_batch() -> None:
    it = predictor(state_bytes(tiny_unet()), unet_params())
    (plain, other) = images([(40, 28)] * 2)
    scaled = DecodedImage(other.pixels, (56, 80))
    alone = masks_of(it, [plain])[0], masks_of(it, [scaled])[0]
    together = masks_of(it, [plain, scaled])
    assert together[1].shape == (56, 80)
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_logits_that_are_not_finite_are_rejected() -> None:
    it = predictor(state_bytes(overflowing_unet()), unet_params())
    with pytest.raises(
        NonFiniteLogitsError, match=r"model v1 .*NaN or infinite, computed in float32.*weights are finite"
    ):
        it.predict(images([(8, 8)]))
    coarse = Predictor(model_ref(b"", unet_params()), it.network.in_bf16())
    with pytest.raises(LowPrecisionError, match=r"computed in bfloat16 .* may be finite in float32"):
        coarse.predict(images([(8, 8)]))


def test_an_output_of_another_shape_is_rejected() -> None:
    with pytest.raises(ModelLoadError, match=r"returns a tensor of shape \(\?, 1, \?, \?\).* n_classes must be the 1"):
        predictor(exported(Brightness()), exported_params(n_classes=2))
