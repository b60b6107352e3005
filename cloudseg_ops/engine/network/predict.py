"""Segments decoded images: padding, normalization, forward pass and classification."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cloudseg_ops.contracts.errors import LowPrecisionError, ModelLoadError, NonFiniteLogitsError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.decode import DecodedImage, Pixels
from cloudseg_ops.engine.images.masks import Classes, Logits, Prediction
from cloudseg_ops.engine.images.sizes import padded_size
from cloudseg_ops.engine.memory.arrays import empty
from cloudseg_ops.engine.network.finite import all_finite
from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.network.receptive_field import find_receptive_field, module_receptive_field
from cloudseg_ops.engine.network.reference import describe
from cloudseg_ops.engine.network.tiling import classes_of, plan_tiles, segment_tiled
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
        normalize = ref.params.normalize
        channels = ref.params.in_channels
        self._mean = self._per_channel(normalize.mean if normalize else (0.0,) * channels)
        self._std = self._per_channel(normalize.std if normalize else (1.0,) * channels)

    def _per_channel(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device).view(1, -1, 1, 1)

    @torch.inference_mode()
    def predict(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        """Segment images of equal padded size.

        Raises:
            ModelLoadError: The shape of the network's output does not match the parameters.
            NonFiniteLogitsError: The network returned logits that are NaN or infinite; a `LowPrecisionError` if its
                precision is lower than float32.
        """
        logits = self._logits([image.pixels for image in images])
        # Images that were scaled down return logits, which are scaled up before they are classified.
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
        self, image: DecodedImage, max_pixels: int, check: Callable[[], None] = lambda: None
    ) -> Prediction:
        """Segment an image tile by tile, with the same result as for the whole image.

        Args:
            image: The image.
            max_pixels: Maximum number of pixels of a tile.
            check: Called before each tile; may raise to abort.

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

        tiles = plan_tiles(
            image.height, image.width, stride=self.network.stride, halo=self._receptive_field, max_pixels=max_pixels
        )
        size = (image.height, image.width)
        out: Classes | Logits = empty(size, np.uint8)
        if image.full_size:
            out = empty((self._ref.params.n_classes, *size), np.float32)
        segment_tiled(image.pixels, tiles, forward, out)
        return Prediction(out)

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
        pixels = self._assemble(images)
        # In place, because each step reads and writes every pixel; the pixels are channels last already.
        batch = self._transfers.to_device(pixels).permute(0, 3, 1, 2).to(torch.float32, copy=True)
        if pixels.dtype == torch.uint8:
            batch.div_(255)
        batch.sub_(self._mean).div_(self._std)
        logits = self.network.run(batch)
        self._check_shape(logits, batch)
        return logits

    def _assemble(self, images: Sequence[Pixels]) -> torch.Tensor:
        """Copy images into one array in main memory, (N, H, W, channels), padded with their last row and column."""
        height, width = padded_size(images[0].shape[:2], self.network.stride)
        deep = any(pixels.dtype != np.uint8 for pixels in images)
        batch = self._transfers.empty(
            (len(images), height, width, images[0].shape[2]), torch.float32 if deep else torch.uint8
        )
        array = batch.numpy()
        for place, pixels in zip(array, images, strict=True):
            given = pixels.astype(np.float32) / np.float32(255) if deep and pixels.dtype == np.uint8 else pixels
            rows, columns = pixels.shape[:2]
            place[:rows, :columns] = given
            place[rows:, :columns] = given[-1:]
            place[:, columns:] = place[:, columns - 1 : columns]
        return batch

    def _check_shape(self, logits: object, batch: torch.Tensor) -> None:
        expected = (batch.shape[0], self._ref.params.n_classes, *batch.shape[2:])
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        if not isinstance(logits, torch.Tensor) or found != expected:
            raise ModelLoadError(
                f"{describe(self._ref)} returned {found} for images of shape {tuple(batch.shape)}; by its parameters, "
                f"the logits should have shape {expected}; correct n_classes or size_multiple in params.yaml"
            )

    def _require_finite(self, finite: bool, shape: Sequence[int]) -> None:
        if finite:
            return
        found = (
            f"{describe(self._ref)} returned logits that are NaN or infinite, computed in {self.network.precision} for "
            f"a batch of shape {tuple(shape)}"
        )
        if self.network.exact:
            raise LowPrecisionError(f"{found}; they may be finite in float32: add --precision fp32 to the options")
        raise NonFiniteLogitsError(
            f"{found}, although its weights are finite: the network overflows or divides by zero on these pixels; no "
            "mask was made of them. Use another revision"
        )
