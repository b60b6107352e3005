"""Checks on a chunk's first photographs that a program returns what its parameters say, before any mask is written."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from cloudseg_ops.contracts.errors import ModelLoadError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.network.device import is_device_failure, is_out_of_memory
from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.network.outputs import TOLERANCE
from cloudseg_ops.engine.network.predict import Predictor
from cloudseg_ops.engine.network.reference import describe, load_error

MAX_IMAGES = 4
"""Photographs to look at; one suffices if its values cannot be probabilities."""
_SAMPLES = (128 * 128, 512 * 512)
"""Pixels of a photograph's center; the larger one is for programs that fail on small images."""

_log = logging.getLogger(__name__)


@torch.inference_mode()
def check_outputs(ref: ModelRef, network: Network, images: Sequence[DecodedImage]) -> None:
    """Check the values that a program returns for some images against its parameters.

    Probabilities that are taken for logits are all above 0, and with one class everything would be cloud. With several
    classes, the masks are the same: that is only logged.

    Args:
        ref: The model.
        network: Its network in float32.
        images: The first images of the chunk.

    Raises:
        ModelLoadError: The values are not what the parameters say.
    """
    output = network.output
    if network.built_in or (output.kind == "logits" and output.stated):
        return
    ranges: list[tuple[float, float]] = []
    for image in images[:MAX_IMAGES]:
        found = _value_range(ref, network, image)
        if found is None:
            continue
        ranges.append(found)
        if output.kind == "logits" and not _may_be_probabilities(*found):
            return
    if not ranges:
        return
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    values = f"it returns values from {low:.4g} to {high:.4g} for the first photographs"
    if output.kind == "probabilities" and not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise load_error(ref, values, "values within 0–1 for `output: probabilities`; or set `output: logits`")
    if output.kind == "classes" and not (low >= 0 and high < max(2, output.n_classes)):
        raise load_error(ref, values, f"class indices below {max(2, output.n_classes)} for `output: classes`")
    if output.kind == "logits" and high > 0:
        _suspect(ref, values)


def _suspect(ref: ModelRef, values: str) -> None:
    """Raise or log that a network seems to return probabilities."""
    if ref.params.n_classes > 1:
        _log.warning(
            "%s: %s, so these are probably probabilities: the masks are the same, and `output: probabilities` in "
            "params.yaml ends this message",
            describe(ref),
            values,
        )
        return
    raise load_error(
        ref,
        f"{values}: these look like probabilities, and as logits they would make nearly everything cloud",
        "`output: probabilities` in the model section, or `output: logits` if they really are logits",
    )


def _value_range(ref: ModelRef, network: Network, image: DecodedImage) -> tuple[float, float] | None:
    """Return the lowest and highest value that the network returns for an image; None if it fails on the image."""
    predictor = Predictor(ref, network)
    for pixels in _SAMPLES:
        try:
            values = predictor.raw_values(predictor.inputs.sample(image, pixels))
        except (RuntimeError, AssertionError, ModelLoadError) as error:
            if is_out_of_memory(error) or is_device_failure(error):
                raise
            # It may fail on images of this size alone, which are computed with the others later.
            continue
        low, high = torch.aminmax(values.float())
        return (float(low), float(high)) if bool(low.isfinite() & high.isfinite()) else None
    return None


def _may_be_probabilities(low: float, high: float) -> bool:
    return low >= 0 and high <= 1
