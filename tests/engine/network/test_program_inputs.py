"""What exported programs take: each mask equals that of plain PyTorch on images prepared by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cloudseg_ops.contracts.errors import EngineError, ModelLoadError
from cloudseg_ops.engine.images.decode import DecodedImage, decode
from cloudseg_ops.engine.network.adaptive import AdaptivePredictor
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.predict import Predictor
from cloudseg_ops.engine.network.program_ranges import UNLIMITED
from cloudseg_ops.engine.network.tiling import plan_fixed_tiles
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.engine.scheduling.tuning import BatchTuner
from tests.support.lab import encoded, model_ref, noise, state_bytes, tiny_unet, unet_params
from tests.support.programs import Head, exported, exported_params, saved

CPU = torch.device("cpu")
HEAD = Head(lambda scores, aux: scores)


def predictor(weights: bytes, **params: Any) -> Predictor:
    ref = model_ref(weights, exported_params(**{"size_multiple": None, **params}))
    return Predictor(ref, load_network(ref, weights, CPU))


def adaptive(predictor: Predictor, max_pixels: int = 10**9) -> AdaptivePredictor:
    return AdaptivePredictor(predictor, BatchTuner(8, max_pixels), Stop(), workers=1, threads=1)


def images(width: int, height: int, number: int = 1, channels: int = 3) -> list[DecodedImage]:
    shape = (height, width, channels)
    return [DecodedImage(noise(width, height, channels, seed=seed).reshape(shape)) for seed in range(number)]


def tensor(pixels: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(pixels)).permute(2, 0, 1)[None] / 255


@torch.inference_mode()
def logits(pixels: Any) -> torch.Tensor:
    return HEAD.scores(tensor(pixels))


def fixed(height: int, width: int, batch: int = 1) -> bytes:
    return saved(HEAD, torch.rand(batch, 3, height, width))


def stretched(image: DecodedImage, width: int, height: int) -> Image.Image:
    return Image.fromarray(image.pixels).resize((width, height), Image.Resampling.BILINEAR)


@pytest.mark.parametrize("size", [(64, 40), (16, 10), (24, 16), (10, 30)])
def test_photographs_are_stretched_to_the_only_size_of_a_program(size: tuple[int, int]) -> None:
    it = predictor(fixed(16, 24))
    (image,) = images(*size)
    (found,) = adaptive(it).predict([image])
    seen = logits(stretched(image, 24, 16))
    antialias = size[0] < 24 or size[1] < 16
    whole = nn.functional.interpolate(seen, (size[1], size[0]), mode="bilinear", antialias=antialias)[0, 0].numpy()
    clear = np.abs(whole) > 1e-4
    assert found.restored(image.mask_size).shape == (size[1], size[0])
    assert np.array_equal(found.restored(image.mask_size)[clear], (whole > 0)[clear])
    assert clear.mean() > 0.99


def test_decoding_and_prediction_stretch_alike() -> None:
    it = predictor(fixed(16, 24))
    (image,) = images(64, 40)
    file = encoded(Image.fromarray(image.pixels), "PNG")
    decoded = decode(file, 3, 10**6, resize_to=(16, 24))
    assert (decoded.pixels.shape, decoded.mask_size) == ((16, 24, 3), (40, 64))
    one, other = it.predict([image])[0], it.predict([decoded])[0]
    assert np.array_equal(one.restored((40, 64)), other.restored((40, 64)))


def test_a_rotated_photograph_is_stretched_upright() -> None:
    upright = Image.fromarray(noise(40, 64))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    decoded = decode(file, 3, 10**6, resize_to=(16, 24))
    assert decoded.mask_size == (64, 40)
    wanted = np.asarray(upright.resize((24, 16), Image.Resampling.BILINEAR)).astype(int)
    # Rotated before or after it is stretched, which rounds differently.
    assert np.abs(decoded.pixels - wanted).max() <= 1


@pytest.mark.parametrize("batch", [1, 3])
def test_photographs_are_cut_into_tiles_of_the_only_size_of_a_program(batch: int) -> None:
    it = predictor(fixed(16, 24, batch), fit="tile")
    (image,) = images(70, 41)
    model = adaptive(it)
    assert model.limit((41, 70)) == 1
    found = model.predict([image])[0].classes
    expected = np.zeros((41, 70), np.uint8)
    tiles = plan_fixed_tiles(41, 70, (16, 24))
    for tile in tiles:
        window = tile.window
        assert window.shape == (16, 24)
        assert 0 <= window.top <= window.bottom <= 41
        core = tile.core
        got = logits(image.pixels[window.top : window.bottom, window.left : window.right])[0, 0] > 0
        expected[core.top : core.bottom, core.left : core.right] = got[tile.core_in_window]
    assert np.array_equal(found, expected)
    # This network sees three pixels, fewer than the overlap: the tiles do not show.
    padded_edges = np.s_[1:-1, 1:-1]
    whole = logits(image.pixels)[0, 0].numpy() > 0
    assert np.array_equal(found[padded_edges], whole[padded_edges])


def test_photographs_smaller_than_a_tile_are_padded_and_share_a_batch() -> None:
    it = predictor(saved(HEAD, torch.rand(2, 3, 16, 24), {0: torch.export.Dim("n", max=16)}), fit="tile")
    model = adaptive(it)
    assert model.limit((9, 13)) == 8
    given = images(13, 9, 3)
    for image, found in zip(given, model.predict(given), strict=True):
        padded = np.pad(image.pixels, ((0, 7), (0, 11), (0, 0)), mode="edge")
        assert np.array_equal(found.classes, (logits(padded)[0, 0, :9, :13] > 0).numpy())


def test_tiles_of_a_network_of_any_size() -> None:
    (image,) = images(70, 41)
    dynamic = predictor(exported(HEAD), fit="tile", input_size=[16, 24], size_multiple=8)
    only = predictor(fixed(16, 24), fit="tile")
    assert np.array_equal(dynamic.predict([image])[0].classes, only.predict([image])[0].classes)
    built_in = unet_params(fit="tile", input_size=32)
    ref = model_ref(state_bytes(tiny_unet()), built_in)
    network = load_network(ref, state_bytes(tiny_unet()), CPU)
    assert Predictor(ref, network).predict([image])[0].classes.shape == (41, 70)


def test_a_photograph_that_max_side_scaled_down_is_tiled_and_scaled_back() -> None:
    it = predictor(fixed(16, 24), fit="tile", max_side=64)
    (image,) = images(64, 41)
    (found,) = it.predict([DecodedImage(image.pixels, (82, 128))])
    assert found.values.shape == (1, 41, 64)
    assert np.array_equal(found.classes, it.predict([image])[0].classes)
    assert found.restored((82, 128)).shape == (82, 128)


def test_a_network_of_one_size_that_does_not_fit_into_memory() -> None:
    class Full(Predictor):
        def _logits(self, images: Any) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    for params in ({"fit": "tile"}, {"fit": "resize"}):
        it = predictor(fixed(16, 24), **params)
        with pytest.raises(EngineError, match=r"takes images of 16 × 24 pixels, 1 at a time, and these did not fit"):
            adaptive(Full(it._ref, it.network)).predict(images(70, 41))


def test_images_may_be_an_argument_of_any_name() -> None:
    it = predictor(saved(HEAD, torch.rand(1, 3, 16, 24), keyword="images"))
    assert it.predict(images(24, 16))[0].classes.shape == (16, 24)


def test_the_multiple_that_the_program_says_needs_no_parameter() -> None:
    it = predictor(exported(HEAD, multiple=8))
    assert it.network.stride == 8
    assert it.predict(images(41, 29))[0].classes.shape == (29, 41)


def test_images_smaller_and_larger_than_the_program_takes() -> None:
    it = predictor(exported(HEAD, multiple=4, least=5))
    assert (it.network.least, it.network.most) == ((20, 20), (1024, 1024))
    (small,) = images(22, 9)
    padded = np.pad(small.pixels, ((0, 11), (0, 2), (0, 0)), mode="edge")
    assert np.array_equal(it.predict([small])[0].classes, (logits(padded)[0, 0, :9, :22] > 0).numpy())
    with pytest.raises(ModelLoadError, match=r"at most 1024 × 1024 pixels, .* has 20 × 1028 .* set max_side"):
        it.predict(images(1025, 9))
    assert predictor(fixed(16, 24)).network.most == (16, 24)
    free = saved(HEAD, torch.rand(2, 3, 16, 24), dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO))
    assert predictor(free).network.most == (UNLIMITED, UNLIMITED)


def test_channels_in_the_order_of_opencv() -> None:
    normalize = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    it = predictor(exported(HEAD), channel_order="bgr", normalize=normalize)
    for image in (*images(24, 16), DecodedImage(np.random.default_rng(0).random((16, 24, 3), np.float32))):
        pixels = image.pixels / 255 if image.pixels.dtype == np.uint8 else image.pixels
        given = (pixels[..., ::-1] - np.array(normalize["mean"])) / np.array(normalize["std"])
        wanted = HEAD.scores(torch.tensor(given, dtype=torch.float32).permute(2, 0, 1)[None])[0, 0] > 0
        assert (it.predict([image])[0].classes == wanted.numpy()).mean() > 0.999


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_number_of_channels(channels: int) -> None:
    network = Head(lambda scores, aux: scores, channels=channels)
    weights = saved(network, torch.rand(1, channels, 16, 24))
    (image,) = images(24, 16, channels=channels)
    found = predictor(weights, in_channels=channels).predict([image])[0].classes
    assert np.array_equal(found, (network.scores(tensor(image.pixels))[0, 0] > 0).numpy())


@pytest.mark.parametrize(
    ("weights", "params", "told"),
    [
        (lambda: fixed(16, 24), {"input_size": 16}, r"images of 16 × 24 pixels only, and input_size is \[16, 16\]"),
        (lambda: exported(HEAD), {"fit": "tile"}, "images of any size, and fit is tile. Expected: set input_size"),
        (
            lambda: saved(HEAD, torch.rand(1, 3, 16, 24), {2: torch.export.Dim("h", max=99)}),
            {},
            r"of shape \(1, 3, \?, 24\) and type float32, so one side is fixed",
        ),
        (
            lambda: saved(nn.Linear(24, 1), torch.rand(3, 24)),
            {},
            r"it takes input of shape \(3, 24\) .* images alone, of shape \(N, 3, height, width\)",
        ),
        (
            lambda: saved(Bytes(), torch.zeros(1, 3, 16, 24, dtype=torch.uint8)),
            {},
            r"type uint8. Expected: .*normalize outside of the network",
        ),
    ],
    ids=["size", "fit", "one side", "not images", "bytes"],
)
def test_a_program_that_does_not_take_these_images(weights: Any, params: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelLoadError, match=told):
        predictor(weights(), **params)


class Bytes(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().mean(1, keepdim=True) / 255
