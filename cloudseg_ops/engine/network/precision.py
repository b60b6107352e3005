"""Chooses bfloat16 or TF32 if the device is faster in it and the masks stay the same, else float32."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from cloudseg_ops.contracts.errors import NonFiniteLogitsError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Prediction
from cloudseg_ops.engine.network.device import is_device_failure, is_out_of_memory
from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.network.predict import Predictor
from cloudseg_ops.engine.network.reference import describe
from cloudseg_ops.engine.process.options import Precision

AGREEMENT = 0.999
"""Share of a sample's pixels that must have the same class in the lower precision as in float32."""
SAMPLE_PIXELS = 4 * 256 * 256
"""Number of pixels to compare."""
SAMPLE_SECONDS = 0.5
"""Time after which the comparison ends with fewer pixels, but not before the first image."""
MIN_PIXELS = 256 * 256
"""Pixels sampled per image: enough to see a difference of one in a thousand."""

_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})
"""CPU flags of units that multiply bfloat16 faster than float32, as /proc/cpuinfo names them."""

_MAX_DETAIL = 200
_Choice = tuple[str, Callable[[], Network]]
"""A precision's name, and what builds the network in it."""
_log = logging.getLogger(__name__)


class _UnsupportedError(Exception):
    """An operation of the network does not support a precision."""


def fast_in_bf16(device: torch.device) -> bool:
    """Return whether the device computes faster in bfloat16 than in float32."""
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
    """Choose the precision for a chunk by comparing the classes of a sample of its images.

    Args:
        ref: The model.
        exact: Its network in float32.
        precision: `fp32` and `bf16` force a precision. `auto` chooses bfloat16 if the device is faster in it and it
            agrees with float32 on at least `AGREEMENT` of the sample's pixels; else, for an exported program, bfloat16
            in convolutions; else TF32, on the same conditions; else float32.
        images: Images to compare.
        expected: Number of images left in the chunk; one or two are not worth a comparison on the CPU.

    Returns:
        The network in the chosen precision.
    """
    if precision == "fp32" or (precision == "auto" and exact.device.type == "cpu" and expected <= 2):
        return exact
    if precision == "bf16":
        return _forced_bf16(ref, exact, images)
    choices = _bf16_choices(exact) if fast_in_bf16(exact.device) else []
    choices += [("TF32", exact.in_tf32)] if has_tf32(exact.device) else []
    for (_, build), (following, _) in pairwise([*choices, ("float32", lambda: exact)]):
        otherwise = f"{'computing' if following == 'float32' else 'trying'} in {following}"
        if _agrees(ref, exact, candidate := build(), images, otherwise=otherwise):
            return candidate
    return exact


def _bf16_choices(exact: Network) -> list[_Choice]:
    """Return the ways to compute in bfloat16, fastest first; each copies weights when it is called."""
    whole: _Choice = ("bfloat16", exact.in_bf16)
    return [whole] if exact.built_in else [whole, ("bfloat16 in convolutions", exact.with_bf16_convolutions)]


def _forced_bf16(ref: ModelRef, exact: Network, images: Sequence[DecodedImage]) -> Network:
    for (_, build), (following, _) in pairwise([*_bf16_choices(exact), ("", exact.in_bf16)]):
        otherwise = f"trying in {following}" if following else "used nevertheless because of --precision bf16"
        if _agrees(ref, exact, candidate := build(), images, otherwise=otherwise):
            break
    return candidate


def compare_bf16(ref: ModelRef, exact: Network, images: Sequence[DecodedImage]) -> tuple[str, float] | None:
    """Compare bfloat16 with float32, whether the device is faster in it or not.

    Args:
        ref: The model.
        exact: Its network in float32.
        images: Images to compare.

    Returns:
        The name and the agreement, 0–1, of the fastest way to compute in bfloat16 that agrees, or else of the last
        one; None if the network's operations do not support it.
    """
    found = None
    for name, build in _bf16_choices(exact):
        try:
            found = name, agreement_of(Predictor(ref, exact), Predictor(ref, build()), images)
        except _UnsupportedError:
            continue
        if found[1] >= AGREEMENT:
            break
    return found


def has_tf32(device: torch.device) -> bool:
    """Return whether the device supports TF32: NVIDIA GPUs since compute capability 8.0."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def _agrees(ref: ModelRef, exact: Network, coarse: Network, images: Sequence[DecodedImage], *, otherwise: str) -> bool:
    try:
        agreement = agreement_of(Predictor(ref, exact), Predictor(ref, coarse), images)
    except _UnsupportedError as error:
        _log.info("%s cannot be computed in %s (%s): %s", describe(ref), coarse.precision, error, otherwise)
        return False
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
    """Return the share of pixels, 0–1, to which two predictors assign the same class, in the centers of some images.

    Args:
        exact: The reference. Images for which its logits are not finite are skipped.
        coarse: The predictor to compare. If its logits are not finite, the result is 0.
        images: Images to sample from.
    """
    same = total = 0
    began = time.monotonic()
    for image in images:
        if total >= SAMPLE_PIXELS or (total and time.monotonic() - began > SAMPLE_SECONDS):
            break
        sample = exact.inputs.sample(image, MIN_PIXELS)
        other = _predicted_coarsely(coarse, sample)
        if (one := _predicted(exact, sample)) is None:
            continue
        if other is None:
            return 0.0
        same += int(np.count_nonzero(one.classes == other.classes))
        total += one.classes.size
    return same / total if total else 1.0


def _predicted(predictor: Predictor, image: DecodedImage) -> Prediction | None:
    try:
        return predictor.predict([image])[0]
    except NonFiniteLogitsError:
        return None


def _predicted_coarsely(predictor: Predictor, image: DecodedImage) -> Prediction | None:
    try:
        return _predicted(predictor, image)
    except (RuntimeError, TypeError) as error:
        if is_out_of_memory(error) or is_device_failure(error):
            raise
        raise _UnsupportedError(str(error).strip().partition("\n")[0][:_MAX_DETAIL]) from error
