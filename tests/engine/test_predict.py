import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cloudseg_ops.engine.decode import DecodedImage
from cloudseg_ops.engine.predict import Predictor, use_bf16
from cloudseg_ops.errors import EngineError, ModelLoadError
from cloudseg_ops.models import ModelParams
from tests.engine.lab import model_ref, noise, state_bytes, tiny_unet, unet_params

NORMALIZE = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3)}


def predictor(weights: bytes, params: ModelParams) -> Predictor:
    return Predictor.load(model_ref(weights, params), weights, threads=1, precision="fp32")


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
    """The logits as anyone would compute them who has one image of a fitting size."""
    with torch.inference_mode():
        logits: torch.Tensor = network(ready(image, params))
    return logits


@pytest.mark.parametrize("n_classes", [1, 2, 5])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_a_batch_gives_what_single_forwards_give(n_classes: int, in_channels: int) -> None:
    params = unet_params(n_classes, in_channels, normalize=NORMALIZE if in_channels == 3 else None)
    given = images([(40, 28)] * 4, in_channels)
    network = tiny_unet(n_classes, in_channels, torch.cat([ready(image, params) for image in given]))
    masks = predictor(state_bytes(network), params).predict(given)
    for image, mask in zip(given, masks, strict=True):
        logits = plain_logits(network, image, params)[0]
        expected = logits[0] > 0 if n_classes == 1 else logits.argmax(0)
        assert mask.dtype == np.uint8
        assert mask.shape == (28, 40)
        assert (mask == expected.numpy()).mean() > 0.999
        assert len(np.unique(mask)) > 1


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2), (41, 29), (39, 28), (40, 31)])
def test_any_size(size: tuple[int, int]) -> None:
    network = tiny_unet()
    (image,) = images([size])
    (mask,) = predictor(state_bytes(network), unet_params()).predict([image])
    width, height = size
    right, below = -width % 4, -height % 4
    padded = DecodedImage(np.pad(image.pixels, ((0, below), (0, right), (0, 0)), mode="edge").astype(np.uint8))
    expected = plain_logits(network, padded, unet_params())[0, 0, :height, :width] > 0
    assert mask.shape == (height, width)
    assert np.array_equal(mask, expected.numpy())


def test_sizes_that_pad_to_the_same_share_a_batch() -> None:
    it = predictor(state_bytes(tiny_unet()), unet_params())
    given = images([(40, 28), (39, 27), (37, 25)])
    assert {it.padded_size(image) for image in given} == {(28, 40)}
    for image, mask in zip(given, it.predict(given), strict=True):
        assert mask.shape == (image.height, image.width)
        assert np.array_equal(mask, it.predict([image])[0])


def test_sixteen_bits_give_what_eight_give() -> None:
    it = predictor(state_bytes(tiny_unet()), unet_params())
    (image,) = images([(40, 28)])
    deep = DecodedImage(image.pixels.astype(np.float32) / np.float32(255))
    assert np.array_equal(it.predict([image])[0], it.predict([deep])[0])


class Brightness(nn.Module):
    """Cloud where the mean over the channels, as it was given to the network, is above a half."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=1, keepdim=True) - 0.5


def exported(network: nn.Module, *, batch: int | None = None, multiple: int = 4) -> bytes:
    """A program for H and W that are multiples of `multiple`; None: any batch."""
    height, width = torch.export.Dim("h", min=1, max=256), torch.export.Dim("w", min=1, max=256)
    dims: dict[int, Any] = {2: multiple * height, 3: multiple * width}
    if batch is None:
        dims[0] = torch.export.Dim("n", min=1, max=64)
    example = torch.rand(batch or 2, 3, 8 * multiple, 6 * multiple)
    program = torch.export.export(network.eval(), (example,), dynamic_shapes=(dims,))
    stream = io.BytesIO()
    torch.export.save(program, stream)
    return stream.getvalue()


def exported_params(size_multiple: int | None = 4, **more: Any) -> ModelParams:
    return ModelParams.model_validate(
        {"architecture": "exported", "in_channels": 3, "n_classes": 1, "size_multiple": size_multiple, **more}
    )


@pytest.mark.parametrize("batch", [1, None])
def test_an_exported_program(batch: int | None) -> None:
    network = tiny_unet()
    it = predictor(exported(network, batch=batch), exported_params())
    assert it.any_batch is (batch is None)
    given = images([(40, 28)] * 3)
    masks = it.predict(given) if it.any_batch else [it.predict([image])[0] for image in given]
    for image, mask in zip(given, masks, strict=True):
        assert np.array_equal(mask, (plain_logits(network, image, unet_params())[0, 0] > 0).numpy())
    assert it.predict(images([(13, 10)]))[0].shape == (10, 13)


def test_max_side_scales_down_and_back_up() -> None:
    it = predictor(exported(Brightness()), exported_params(max_side=32))
    pixels = np.zeros((64, 100, 3), np.uint8)
    pixels[:, 50:] = 255
    image = DecodedImage(pixels)
    assert it.seen_size(image) == (20, 32)
    (mask,) = it.predict([image])
    assert mask.shape == (64, 100)
    assert (mask[:, :47] == 0).all()
    assert (mask[:, 53:] == 1).all()


def test_max_side_is_antialiased() -> None:
    # Without a low-pass filter, a reduction by four sees the middle two of four columns alone.
    it = predictor(exported(Brightness()), exported_params(max_side=32))
    bright, dark = np.full((128, 128, 3), 255, np.uint8), np.zeros((128, 128, 3), np.uint8)
    bright[:, 1::4] = bright[:, 2::4] = 100
    dark[:, 1::4] = dark[:, 2::4] = 155
    assert it.predict([DecodedImage(bright)])[0].all()
    assert not it.predict([DecodedImage(dark)])[0].any()


def test_max_side_leaves_smaller_images_alone() -> None:
    network = tiny_unet()
    (image,) = images([(32, 20)])
    with_limit = predictor(state_bytes(network), unet_params(max_side=32)).predict([image])[0]
    assert np.array_equal(with_limit, predictor(state_bytes(network), unet_params()).predict([image])[0])


def test_numbers_that_are_none_make_no_mask() -> None:
    network = tiny_unet()
    with torch.no_grad():
        assert network.head.bias is not None
        network.head.bias.fill_(float("nan"))
    with pytest.raises(EngineError, match=r"model v1 .*no numbers"):
        predictor(state_bytes(network), unet_params()).predict(images([(8, 8)]))


def test_an_output_of_another_shape_is_refused() -> None:
    it = predictor(exported(Brightness()), exported_params(n_classes=2))
    with pytest.raises(ModelLoadError, match="n_classes"):
        it.predict(images([(8, 8)]))


def test_bfloat16_is_near() -> None:
    weights = state_bytes(tiny_unet())
    given = images([(64, 64)] * 2)
    exact = predictor(weights, unet_params()).predict(given)
    coarse = Predictor.load(model_ref(weights, unet_params()), weights, threads=1, precision="bf16").predict(given)
    assert np.mean([(a == b).mean() for a, b in zip(exact, coarse, strict=True)]) > 0.97


def test_precision_as_asked() -> None:
    cpu = torch.device("cpu")
    assert use_bf16("bf16", cpu)
    assert not use_bf16("fp32", cpu)
    assert use_bf16("auto", cpu) in {True, False}
