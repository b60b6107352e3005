"""Chooses bfloat16 or TF32 if the device is faster with it and the masks stay the same."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cloudseg_ops.contracts.errors import NonFiniteLogitsError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.restore import Prediction
from cloudseg_ops.engine.network.loading import Network
from cloudseg_ops.engine.network.predict import Predictor
from cloudseg_ops.engine.network.reference import describe
from cloudseg_ops.engine.process.options import Precision

AGREEMENT = 0.999
"""Share of a sample's pixels whose class must be the same in bfloat16 as in float32."""
SAMPLE_PIXELS = 4 * 256 * 256
"""Pixels of the sample, ..."""
SAMPLE_SECONDS = 0.5
"""... unless it has taken so long, and a picture of `LEAST_PIXELS` has been tried: enough to see one in a thousand."""
LEAST_PIXELS = 256 * 256

_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})
"""CPU flags of units that multiply bfloat16 faster than float32."""

_log = logging.getLogger(__name__)


def fast_in_bf16(device: torch.device) -> bool:
    """Return whether the device has hardware support for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        lines = Path("/proc/cpuinfo").read_text("ascii", "replace").splitlines()
    except OSError:
        return False
    return any(_FLAGS & set(line.split()) for line in lines if line.startswith("flags"))


def choose_precision(
    ref: ModelRef, exact: Network, precision: Precision, images: Sequence[DecodedImage], expected: int
) -> Network:
    """Choose the precision for a chunk, using some of its photographs.

    Args:
        ref: The model.
        exact: Its network in float32.
        precision: `fp32` and `bf16` are orders. `auto` takes bfloat16 where the device is faster in it and it agrees
            with float32 on at least `AGREEMENT` of the sample's pixels; else TF32, on the same conditions; else
            float32.
        images: Photographs to try it on.
        expected: Images of the chunk: a few would be done in float32 before they had been tried in both.
    """
    if precision == "fp32" or (precision == "auto" and exact.device.type == "cpu" and expected <= 2):
        return exact
    if precision == "bf16":
        coarse = exact.in_bf16()
        _agrees(ref, exact, coarse, images, otherwise="and --precision bf16 insists")
        return coarse
    choices = [exact.in_bf16()] if fast_in_bf16(exact.device) else []
    choices += [exact.in_tf32()] if has_tf32(exact.device) else []
    for candidate, following in pairwise([*choices, exact]):
        otherwise = f"{'computing' if following is exact else 'trying'} in {following.precision}"
        if _agrees(ref, exact, candidate, images, otherwise=otherwise):
            return candidate
    return exact


def has_tf32(device: torch.device) -> bool:
    """Tell whether the device computes in TF32: NVIDIA GPUs since compute capability 8.0."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def _agrees(ref: ModelRef, exact: Network, coarse: Network, images: Sequence[DecodedImage], *, otherwise: str) -> bool:
    agreement = agreement_of(Predictor(ref, exact), Predictor(ref, coarse), images)
    agrees = agreement >= AGREEMENT
    _log.log(
        logging.INFO if agrees else logging.WARNING,
        "%s: %s agrees with float32 on %s of a sample's pixels%s",
        describe(ref),
        coarse.precision,
        f"{agreement:.3%}",
        "" if agrees else f", less than {AGREEMENT:.1%}: {otherwise}",
    )
    return agrees


def agreement_of(exact: Predictor, coarse: Predictor, images: Sequence[DecodedImage]) -> float:
    """Share of pixels, 0–1, to which two predictors give the same class, on a sample of the images' middles.

    It is 0 where the second one overflows. An image at which the first one fails is left out: it fails later anyway.
    """
    same = total = 0
    began = time.monotonic()
    for image in images:
        if total >= SAMPLE_PIXELS or (total and time.monotonic() - began > SAMPLE_SECONDS):
            break
        sample = DecodedImage(_middle(image.pixels, LEAST_PIXELS))
        if (one := _predicted(exact, sample)) is None:
            continue
        if (other := _predicted(coarse, sample)) is None:
            return 0.0
        same += int(np.count_nonzero(one.classes == other.classes))
        total += one.classes.size
    return same / total if total else 1.0


def _predicted(predictor: Predictor, image: DecodedImage) -> Prediction | None:
    try:
        return predictor.predict([image])[0]
    except NonFiniteLogitsError:
        return None


def _middle(pixels: npt.NDArray[Any], area: int) -> Any:
    height, width = pixels.shape[:2]
    shrink = min(1.0, (area / (height * width)) ** 0.5)
    rows, columns = max(1, int(height * shrink)), max(1, int(width * shrink))
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels[top : top + rows, left : left + columns]
