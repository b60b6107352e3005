"""Whether to compute in bfloat16: where the device is fast at it, and the masks stay the same."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cloudseg_ops.engine.decode import DecodedImage
from cloudseg_ops.engine.loading import Network
from cloudseg_ops.engine.options import Precision
from cloudseg_ops.engine.predict import Predictor
from cloudseg_ops.engine.reference import describe
from cloudseg_ops.models import ModelRef

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
    """Tell whether the device has units that are faster in bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        lines = Path("/proc/cpuinfo").read_text("ascii", "replace").splitlines()
    except OSError:
        return False
    return any(_FLAGS & set(line.split()) for line in lines if line.startswith("flags"))


def settle_precision(
    ref: ModelRef, exact: Network, precision: Precision, images: Sequence[DecodedImage], expected: int
) -> Network:
    """Choose the precision for a chunk, on some of its own photographs.

    Args:
        ref: The model.
        exact: Its network in float32.
        precision: `fp32` and `bf16` are orders; `auto` takes bfloat16 where it is faster and agrees with float32 on at
            least `AGREEMENT` of the sample's pixels.
        images: Photographs to try it on.
        expected: Images of the chunk: a few would be done in float32 before they had been tried in both.
    """
    if precision == "fp32" or (precision == "auto" and not fast_in_bf16(exact.device)):
        return exact
    if precision == "auto" and exact.device.type == "cpu" and expected <= 2:
        return exact
    coarse = exact.in_bf16()
    agreement = agreement_of(Predictor(ref, exact), Predictor(ref, coarse), images)
    told = f"bfloat16 agrees with float32 on {agreement:.3%} of a sample's pixels"
    if precision == "auto" and agreement < AGREEMENT:
        _log.warning("%s: %s, less than %s: computing in float32", describe(ref), told, f"{AGREEMENT:.1%}")
        return exact
    if agreement < AGREEMENT:
        _log.warning("%s: %s, and --precision bf16 insists", describe(ref), told)
    else:
        _log.info("%s: %s", describe(ref), told)
    return coarse


def agreement_of(exact: Predictor, coarse: Predictor, images: Sequence[DecodedImage]) -> float:
    """Share of pixels, 0–1, to which two predictors give the same class, on a sample of the images' middles."""
    same = total = 0
    began = time.monotonic()
    for image in images:
        if total >= SAMPLE_PIXELS or (total and time.monotonic() - began > SAMPLE_SECONDS):
            break
        sample = DecodedImage(_middle(image.pixels, LEAST_PIXELS))
        (one,), (other,) = exact.predict([sample]), coarse.predict([sample])
        same += int(np.count_nonzero(one.classes == other.classes))
        total += one.classes.size
    return same / total if total else 1.0


def _middle(pixels: npt.NDArray[Any], area: int) -> Any:
    height, width = pixels.shape[:2]
    shrink = min(1.0, (area / (height * width)) ** 0.5)
    rows, columns = max(1, int(height * shrink)), max(1, int(width * shrink))
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels[top : top + rows, left : left + columns]
