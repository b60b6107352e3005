"""Models and photographs with meaningful masks: the example model, and scenes that it was trained for."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

from cloudseg_local.scenes import make_scene
from cloudseg_ops.contracts.model_ref import ModelParams, ModelRef
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Prediction
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.networks import UNet
from cloudseg_ops.engine.network.predict import Predictor
from tests.support.lab import model_ref
from tests.support.programs import exported

WEIGHTS = Path(__file__).parents[2] / "examples" / "cloud_unet" / "weights"
MODELS = ("unet", "exported")
CPU = torch.device("cpu")


@cache
def model(name: str) -> tuple[ModelRef, bytes]:
    """The example model: as a state dict (`unet`), or as an exported program (`exported`)."""
    params = ModelParams.parse(yaml.safe_load((WEIGHTS / "params-v2.yaml").read_text())["model"], "params-v2.yaml")
    weights = (WEIGHTS / "v2.pt").read_bytes()
    if name == "exported":
        network = UNet(params.in_channels, params.n_classes, **params.arguments)
        network.load_state_dict(torch.load(WEIGHTS / "v2.pt", weights_only=True))
        weights = exported(network, multiple=network.stride)
        changes = {"architecture": "exported", "arguments": {}, "size_multiple": network.stride}
        params = params.model_copy(update=changes)
    return model_ref(weights, params), weights


def predictor(name: str, device: torch.device, precision: str = "fp32") -> Predictor:
    """The example model on a device, in `fp32`, `tf32` or `bf16`."""
    ref, weights = model(name)
    network = load_network(ref, weights, device)
    chosen = {"fp32": lambda: network, "tf32": network.in_tf32, "bf16": network.in_bf16}[precision]()
    return Predictor(ref, chosen)


@cache
def scene(seed: int, width: int, height: int) -> DecodedImage:
    return DecodedImage(make_scene(seed, width, height).image)


def small_images(number: int, sides: Sequence[int] = (48, 64, 80)) -> list[DecodedImage]:
    """Different parts of a few scenes, of mixed sizes."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(number):
        pixels = scene(int(rng.integers(6)), 320, 240).pixels
        height, width = (int(side) for side in rng.choice(sides, 2))
        top, left = int(rng.integers(240 - height)), int(rng.integers(320 - width))
        found.append(DecodedImage(pixels[top : top + height, left : left + width].copy()))
    return found


def agreement(some: Sequence[Prediction], others: Sequence[Prediction]) -> float:
    """Share of pixels, 0–1, that are of the same class, over all images."""
    pairs = list(zip(some, others, strict=True))
    same = sum(int(np.count_nonzero(one.classes == other.classes)) for one, other in pairs)
    return same / sum(one.classes.size for one, _ in pairs)


def photograph(seed: int, width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(scene(seed % 6, width, height).pixels).save(stream, "JPEG")
    return stream.getvalue()
