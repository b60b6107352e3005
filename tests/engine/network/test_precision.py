import logging
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.network import precision
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.network.networks import UNet
from cloudseg_ops.engine.network.precision import (
    MIN_PIXELS,
    SAMPLE_PIXELS,
    agreement_of,
    choose_precision,
    fast_in_bf16,
)
from cloudseg_ops.engine.network.predict import Predictor
from tests.support.lab import model_ref, noise, overflowing_unet, state_bytes, tiny_unet, unet_params
from tests.support.programs import exported, exported_params

CPU = torch.device("cpu")
IMAGES = [DecodedImage(noise(64, 48, seed=seed)) for seed in range(3)]


def loaded(bias: float | None = None, network: UNet | None = None) -> tuple[ModelRef, Network]:
    network = network or tiny_unet()
    if bias is not None:
        with torch.no_grad():
            assert network.head.bias is not None
            network.head.bias.fill_(bias)
    weights = state_bytes(network)
    ref = model_ref(weights, unet_params())
    return ref, load_network(ref, weights, CPU)


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the device is faster in bfloat16."""
    monkeypatch.setattr(precision, "fast_in_bf16", lambda _: True)


@pytest.mark.usefixtures("_fast")
def test_a_forced_precision_is_used() -> None:
    ref, exact = loaded()
    assert choose_precision(ref, exact, "fp32", IMAGES, 1000) is exact
    coarse = choose_precision(ref, exact, "bf16", IMAGES, 1)
    assert coarse.bf16
    assert coarse.dtype == torch.bfloat16
    assert not exact.bf16
    assert next(exact.forward.parameters()).dtype == torch.float32


@pytest.mark.usefixtures("_fast")
def test_bfloat16_is_chosen_if_the_masks_agree(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ref, exact = loaded(bias=5.0)
    assert choose_precision(ref, exact, "auto", IMAGES, 1000).bf16
    assert "bfloat16 agrees with float32 on 100.000%" in caplog.text


@pytest.mark.usefixtures("_fast")
def test_float32_is_chosen_if_the_masks_differ(caplog: pytest.LogCaptureFixture) -> None:
    # On noise, half of this network's logits are close to zero.
    ref, exact = loaded()
    assert choose_precision(ref, exact, "auto", IMAGES, 1000) is exact
    assert "less than 99.9%: computing in float32" in caplog.text
    assert choose_precision(ref, exact, "bf16", IMAGES, 1000).bf16
    assert "used nevertheless because of --precision bf16" in caplog.text


@pytest.mark.usefixtures("_fast")
def test_single_image_is_computed_in_float32() -> None:
    ref, exact = loaded(bias=5.0)
    assert choose_precision(ref, exact, "auto", IMAGES, 1) is exact


def test_a_device_that_is_not_faster_stays_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "fast_in_bf16", lambda _: False)
    ref, exact = loaded(bias=5.0)
    assert choose_precision(ref, exact, "auto", IMAGES, 1000) is exact


class Thresholded(nn.Module):
    """A convolution that contributes nothing, and a mean that bfloat16 rounds across the threshold."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.conv(images) + images.mean(dim=1, keepdim=True) - 0.5
        return logits


class NormalizedInFloat32(Thresholded):
    """Normalizes in float32 by an operation that does not accept weights of another type."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.norm(images.float().permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return super().forward(features) + 5


def loaded_program(network: nn.Module) -> tuple[ModelRef, Network]:
    weights = exported(network)
    ref = model_ref(weights, exported_params())
    return ref, load_network(ref, weights, CPU)


@pytest.mark.usefixtures("_fast")
def test_a_whole_program_is_computed_in_bfloat16_if_the_masks_agree(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ref, exact = loaded_program(Thresholded())
    bright = [DecodedImage(np.full((8, 8, 3), 200, np.uint8))]
    chosen = choose_precision(ref, exact, "auto", bright, 1000)
    assert (chosen.precision, chosen.exact) == ("bfloat16", exact)
    assert "bfloat16 agrees with float32 on 100.000%" in caplog.text


@pytest.mark.usefixtures("_fast")
def test_only_convolutions_are_computed_in_bfloat16_if_the_rest_would_change_masks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    ref, exact = loaded_program(Thresholded())
    chosen = choose_precision(ref, exact, "auto", IMAGES, 1000)
    assert (chosen.precision, chosen.dtype) == ("bfloat16 in convolutions", torch.float32)
    assert "less than 99.9%: trying in bfloat16 in convolutions" in caplog.text
    assert "bfloat16 in convolutions agrees with float32 on 100.000%" in caplog.text
    assert choose_precision(ref, exact, "bf16", IMAGES, 1).precision == "bfloat16 in convolutions"


@pytest.mark.usefixtures("_fast")
def test_a_program_that_fails_in_bfloat16_is_computed_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ref, exact = loaded_program(NormalizedInFloat32())
    assert choose_precision(ref, exact, "auto", IMAGES, 1000).precision == "bfloat16 in convolutions"
    assert "cannot be computed in bfloat16 (" in caplog.text


def test_agreement_is_measured_on_a_bounded_sample() -> None:
    ref, exact = loaded()
    large = [DecodedImage(noise(700, 500, seed=seed)) for seed in range(9)]
    seen: list[int] = []

    class Counting(Predictor):
        def predict(self, images: list[DecodedImage]) -> list[object]:  # type: ignore[override]
            seen.extend(image.width * image.height for image in images)
            return super().predict(images)  # type: ignore[return-value]

    same = Predictor(ref, exact)
    assert agreement_of(Counting(ref, exact), same, large) == 1
    assert MIN_PIXELS * 0.9 < seen[0] <= MIN_PIXELS
    assert sum(seen) < SAMPLE_PIXELS + MIN_PIXELS


def test_agreement_is_the_share_of_equal_pixels() -> None:
    ref, exact = loaded(bias=0.0)
    ref, other = loaded(bias=100.0)
    clouds = np.mean([Predictor(ref, exact).predict([image])[0].classes.mean() for image in IMAGES])
    assert agreement_of(Predictor(ref, exact), Predictor(ref, other), IMAGES) == pytest.approx(clouds)


def test_bf16_support_of_the_cpu_is_detected() -> None:
    flags = Path("/proc/cpuinfo").read_text()
    assert fast_in_bf16(CPU) is ("amx_bf16" in flags or "avx512_bf16" in flags)


def test_weights_that_only_convolutions_use_are_converted_once() -> None:
    class Gated(nn.Module):
        """A convolution, and another one whose weights are also added to its output."""

        def __init__(self) -> None:
            super().__init__()
            self.plain = nn.Conv2d(3, 4, 3, padding=1)
            self.up = nn.ConvTranspose2d(4, 3, 2, stride=2)
            self.used_twice = nn.Conv2d(3, 1, 1)
            self.norm = nn.BatchNorm2d(4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            features = self.norm(self.plain(images[..., ::2, ::2]))
            logits: torch.Tensor = self.used_twice(self.up(features)) + self.used_twice.weight.mean()
            return logits

    torch.manual_seed(0)
    weights = exported(Gated())
    ref = model_ref(weights, exported_params())
    exact = load_network(ref, weights, CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coarse = exact.with_bf16_convolutions()
    dtypes = {name: parameter.dtype for name, parameter in coarse.forward.named_parameters()}
    assert {name for name, dtype in dtypes.items() if dtype == torch.bfloat16} == {
        *("folded_0_weight", "folded_0_bias", "up.weight", "up.bias", "used_twice.bias"),
    }
    assert {parameter.dtype for parameter in exact.forward.parameters()} == {torch.float32}
    shared = dict(exact.forward.named_parameters())
    assert coarse.forward.get_parameter("used_twice.weight") is shared["used_twice.weight"]
    image = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        by_autocast = replace(exact, autocast=True).run(image)
        assert torch.equal(coarse.run(image), by_autocast)
        assert coarse.run(image).dtype == by_autocast.dtype


@pytest.mark.usefixtures("_fast")
def test_a_precision_that_overflows_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    ref, exact = loaded(bias=5.0)
    _, overflowing = loaded(network=overflowing_unet())
    monkeypatch.setattr(Network, "in_bf16", lambda _: overflowing)
    assert choose_precision(ref, exact, "auto", IMAGES, 1000) is exact


def test_images_with_non_finite_logits_do_not_count() -> None:
    ref, exact = loaded(network=overflowing_unet())
    assert agreement_of(Predictor(ref, exact), Predictor(ref, exact), IMAGES) == 1


@pytest.mark.usefixtures("_fast")
def test_tf32_is_tried_if_bfloat16_disagrees(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(precision, "has_tf32", lambda _: True)
    ref, exact = loaded()
    assert choose_precision(ref, exact, "auto", IMAGES, 1000).precision == "TF32"
    assert "less than 99.9%: trying in TF32" in caplog.text
    assert "TF32 agrees with float32 on 100.000%" in caplog.text


@pytest.mark.slow
def test_exported_program_in_bfloat16_segments_in_tiles() -> None:
    weights = exported(tiny_unet())
    ref = model_ref(weights, exported_params())
    coarse = Predictor(ref, load_network(ref, weights, CPU).with_bf16_convolutions())
    image = DecodedImage(noise(200, 160), (320, 400))
    whole = coarse.predict([image])[0].values
    tiled = coarse.predict_tiled(image, 100 * 100).values
    assert np.abs(whole - tiled).max() < 0.02 * np.abs(whole).max()
