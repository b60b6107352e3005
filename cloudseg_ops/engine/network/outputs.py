"""Reads what a network returns: logits, probabilities or classes, at the size of its input or another one.

Whatever it is becomes scores of one convention, so that the rest of the engine needs to know only that: with one class,
a pixel is cloud if its score is above 0; with more, the class is the index of the highest score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from cloudseg_ops.contracts.errors import ModelLoadError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.network.reference import describe

Kind = Literal["logits", "probabilities", "classes"]

LARGEST_RATIO = 64
"""Largest ratio between the sides of a network's input and of its output."""
TOLERANCE = 1e-3
"""How far probabilities may be outside 0–1, because of rounding in bfloat16."""


@dataclass(frozen=True, slots=True)
class Output:
    """How to read what a network returns.

    Attributes:
        n_classes: Number of classes.
        kind: What its values are.
        stated: Whether the parameters say so; if not, it is an assumption to be checked.
        threshold: With one class, the probability above which a pixel is cloud.
        where: The model, for error messages.
        name: The program's name for the output, for messages; empty if it has only one.
    """

    n_classes: int
    kind: Kind = "logits"
    stated: bool = True
    threshold: float = 0.5
    where: str = "the model"
    name: str = ""

    @classmethod
    def of(cls, ref: ModelRef, name: str = "") -> Output:
        """Return how to read the output of a model.

        Args:
            ref: The model.
            name: The program's name for the output.
        """
        params = ref.params
        kind = params.output or "logits"
        return cls(params.n_classes, kind, params.output is not None, params.threshold, describe(ref), name)

    def scores(self, raw: object, size: Sequence[int]) -> torch.Tensor:
        """Return the scores of a batch, shape (N, n_classes, H, W); NaN where a value is not of this kind.

        Args:
            raw: What the network returned.
            size: N, H and W of its input.

        Raises:
            ModelLoadError: The output is not a tensor of a shape that the parameters allow.
        """
        values = self._resized(self.values(raw, size), size)
        if self.kind == "classes":
            return self._one_hot(values)
        if self.kind == "probabilities":
            outside = (values < -TOLERANCE) | (values > 1 + TOLERANCE)
            values = values.masked_fill(outside, math.nan)
        return values - self._zero if self._zero else values

    def values(self, raw: object, size: Sequence[int]) -> torch.Tensor:
        """Return the network's own values, shape (N, channels, h, w), at the size of its output.

        Args:
            raw: What the network returned.
            size: N, H and W of its input.

        Raises:
            ModelLoadError: The output is not a tensor of a shape that the parameters allow.
        """
        if not isinstance(raw, torch.Tensor):
            raise self._error(f"a {type(raw).__name__}", size, "")
        channels = 1 if self.kind == "classes" else self.n_classes
        # Class indices, and the scores of one class, need no axis of channels.
        values = raw.unsqueeze(1) if raw.dim() == 3 and channels == 1 else raw
        expected = values.dim() == 4 and values.shape[:2] == (size[0], channels)
        if not expected or not _fits(values.shape[2:], size[1:]):
            raise self._error(str(tuple(raw.shape)), size, self._advice(values, size))
        if self.kind != "classes" and not values.is_floating_point():
            raise self._error(
                f"{str(values.dtype).removeprefix('torch.')} values", size, "; set `output: classes` in params.yaml"
            )
        return values

    @property
    def invalid(self) -> str:
        """What values are that have NaN as their score, for error messages."""
        return {
            "logits": "logits that are NaN or infinite",
            "probabilities": "probabilities that are NaN or outside 0–1",
            "classes": f"values that are not the index of one of {max(2, self.n_classes)} classes",
        }[self.kind]

    @property
    def _zero(self) -> float:
        """With one class, the value above which a pixel is cloud; with more, 0."""
        if self.n_classes > 1 or self.kind == "classes":
            return 0.0
        return self.threshold if self.kind == "probabilities" else math.log(self.threshold / (1 - self.threshold))

    def _resized(self, values: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        if values.shape[2:] == torch.Size(size[1:]):
            return values
        if self.kind == "classes":
            return torch.nn.functional.interpolate(values.float(), tuple(size[1:]), mode="nearest-exact")
        # In float32: neighboring values of bfloat16 are too far apart to be averaged.
        return torch.nn.functional.interpolate(values.float(), tuple(size[1:]), mode="bilinear", align_corners=False)

    def _one_hot(self, values: torch.Tensor) -> torch.Tensor:
        """Return scores whose class is the value itself; NaN where it is not the index of a class."""
        if self.n_classes == 1:
            return torch.where((values == 0) | (values == 1), values - 0.5, math.nan)
        indices = torch.arange(self.n_classes, device=values.device).view(1, -1, 1, 1)
        scores = (values == indices).float()
        return torch.where(scores.amax(dim=1, keepdim=True) > 0, scores, math.nan)

    def _advice(self, values: torch.Tensor, size: Sequence[int]) -> str:
        if values.dim() == 4 and values.shape[0] == size[0] and values.shape[1] != self.n_classes:
            if self.kind == "classes":
                return "; set `output: logits` or `output: probabilities` in params.yaml"
            return f"; set n_classes: {values.shape[1]} in params.yaml, or export a network with {self.n_classes}"
        if values.dim() == 3 and self.kind != "classes":
            return "; if these are class indices, set `output: classes` in params.yaml"
        return "; correct size_multiple, or output_name or output_index in params.yaml"

    def _error(self, found: str, size: Sequence[int], advice: str) -> ModelLoadError:
        count, height, width = size
        channels = 1 if self.kind == "classes" else self.n_classes
        named = f" as its output {self.name}" if self.name else ""
        either = " (or without the 1)" if channels == 1 else ""
        return ModelLoadError(
            f"{self.where} returned {found}{named} for {count} images of {height} × {width} pixels; by its parameters, "
            f"{self.kind} should have shape ({count}, {channels}, {height}, {width}){either}, or a height and width "
            f"that are a whole fraction or multiple of these{advice}"
        )


def _fits(output: Sequence[int], given: Sequence[int]) -> bool:
    """Return whether both sides of an output are the same simple fraction or multiple of those of the input."""
    (height, width), (rows, columns) = given, output
    return any(
        (rows, columns) == (ratio * height, ratio * width)
        # Convolutions with strides round up.
        or (rows, columns) == (math.ceil(height / ratio), math.ceil(width / ratio))
        for ratio in range(1, LARGEST_RATIO + 1)
    )
