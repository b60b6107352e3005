"""Segments decoded images: padding, normalization, forward pass and classification."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cloudseg_ops.contracts.errors import LowPrecisionError, NonFiniteLogitsError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Classes, Logits, Prediction
from cloudseg_ops.engine.images.pixels import Pixels
from cloudseg_ops.engine.memory.arrays import empty
from cloudseg_ops.engine.network.finite import all_finite
from cloudseg_ops.engine.network.inputs import Inputs
from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.network.receptive_field import find_receptive_field, module_receptive_field
from cloudseg_ops.engine.network.reference import describe
from cloudseg_ops.engine.network.tiling import (
    Tile,
    classes_of,
    plan_fixed_tiles,
    plan_tiles,
    segment_tiled,
)
from cloudseg_ops.engine.network.transfers import Transfers


class Predictor:
    """Runs a network with the preprocessing its model parameters specify; safe to share between threads.

    On a GPU, each thread uses its current CUDA stream, so that one thread can copy while another computes.

    Args:
        ref: The model.
        network: Its network.
    """

    def __init__(self, ref: ModelRef, network: Network) -> None:
        self._ref = ref
        self.network = network
        self._device = network.device
        self._transfers = Transfers(network.device)
        self.inputs = Inputs(ref.params, network, self._transfers)

    @torch.inference_mode()
    def predict(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        """Segment images of equal padded size.

        Raises:
            ModelLoadError: The shape of the network's output does not match the parameters.
            NonFiniteLogitsError: The network returned logits that are NaN or infinite; a `LowPrecisionError` if its
                precision is lower than float32.
        """
        if self.inputs.work((images[0].height, images[0].width)).windows > 1:
            return [self.predict_tiled(image, 1) for image in images]
        images = [self.inputs.fitted(image) for image in images]
        logits = self._logits([image.pixels for image in images])
        # Images that were scaled for the network return logits, which are scaled back before they are classified.
        scaled = [place for place, image in enumerate(images) if image.full_size]
        whole = [place for place, image in enumerate(images) if not image.full_size]
        parts = [all_finite(logits)]
        parts += [logits[scaled].float()] if scaled else []
        parts += [classes_of(logits[whole] if scaled else logits)] if whole else []
        # Wait once for all copies; meanwhile, the GPU computes the other worker's batch.
        finite, *arrays = self._transfers.to_host(parts)
        self._require_finite(bool(finite), logits.shape)
        values = dict(zip([*scaled, *whole], itertools.chain.from_iterable(arrays), strict=True))
        return [
            Prediction(self._own(values[place][..., : image.height, : image.width]))
            for place, image in enumerate(images)
        ]

    def _own(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a contiguous array; on a GPU, a copy that frees the pinned memory for the next batch."""
        return np.array(values, order="C") if self._device.type == "cuda" else np.ascontiguousarray(values)

    @torch.inference_mode()
    def predict_tiled(
        self, image: DecodedImage, max_pixels: int, check: Callable[[], None] = lambda: None, *, batch: int = 1
    ) -> Prediction:
        """Segment an image tile by tile.

        The result is the same as for the whole image, unless the network takes only tiles of one size.

        Args:
            image: The image.
            max_pixels: Maximum number of pixels of a tile, if the network takes any size.
            check: Called before each batch of tiles; may raise to abort.
            batch: Maximum number of tiles to compute at once.

        Raises:
            ImageTooLargeError: The network's receptive field is too large for tiles of this size.
            ModelLoadError: The shape of the network's output does not match the parameters.
            NonFiniteLogitsError: The network returned logits that are NaN or infinite; a `LowPrecisionError` if its
                precision is lower than float32.
        """

        def forward(windows: Sequence[Pixels]) -> torch.Tensor:
            check()
            logits = self._logits(windows)
            self._require_finite(bool(all_finite(logits)), logits.shape)
            return logits

        tiles = self._tiles(image, max_pixels)
        size = (image.height, image.width)
        out: Classes | Logits = empty(size, np.uint8)
        if image.full_size:
            out = empty((self._ref.params.n_classes, *size), np.float32)
        segment_tiled(image.pixels, tiles, forward, out, batch=batch)
        return Prediction(out)

    def _tiles(self, image: DecodedImage, max_pixels: int) -> list[Tile]:
        if fixed := self.network.size:
            return plan_fixed_tiles(image.height, image.width, (fixed.height, fixed.width))
        return plan_tiles(
            image.height, image.width, stride=self.network.stride, halo=self._receptive_field, max_pixels=max_pixels
        )

    @cached_property
    def in_float32(self) -> Predictor:
        """The same predictor in float32."""
        return Predictor(self._ref, self.network.exact) if self.network.exact else self

    @cached_property
    def _receptive_field(self) -> int | None:
        """The network's receptive field in pixels; None if it is unlimited or unknown."""
        params = self._ref.params
        exact = self.network.exact or self.network
        if narrowest := exact.narrowest:
            return module_receptive_field(narrowest(), exact.stride)
        return find_receptive_field(exact.run, in_channels=params.in_channels, stride=exact.stride, device=exact.device)

    def _logits(self, images: Sequence[Pixels]) -> torch.Tensor:
        """Return the logits of images of equal padded size, shape (N, n_classes, H, W), on the device."""
        return self.network.run(self.inputs.normalized(images))

    def raw_values(self, image: DecodedImage) -> torch.Tensor:
        """Return what the network itself returns for an image, before it is scaled and classified."""
        batch = self.inputs.normalized([self.inputs.fitted(image).pixels])
        batch = batch.expand(self.network.fewest, -1, -1, -1)
        return self.network.output.values(self.network.raw(batch), (batch.shape[0], *batch.shape[2:]))

    def _require_finite(self, finite: bool, shape: Sequence[int]) -> None:
        if finite:
            return
        found = (
            f"{describe(self._ref)} returned {self.network.output.invalid}, computed in {self.network.precision} for "
            f"a batch of shape {tuple(shape)}"
        )
        if self.network.exact:
            raise LowPrecisionError(f"{found}; they may be finite in float32: add --precision fp32 to the options")
        if self.network.output.kind != "logits":
            raise NonFiniteLogitsError(f"{found}; correct `output` in params.yaml, or use another revision")
        raise NonFiniteLogitsError(
            f"{found}, although its weights are finite: the network overflows or divides by zero on these pixels; no "
            "mask was made of them. Use another revision"
        )
