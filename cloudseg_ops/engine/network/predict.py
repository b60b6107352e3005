"""From photographs to classes: pad, normalize, forward, classify."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cloudseg_ops.contracts.errors import ModelLoadError, NonFiniteLogitsError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.decode import DecodedImage, Pixels
from cloudseg_ops.engine.images.masks import Classes
from cloudseg_ops.engine.images.restore import Logits, Prediction
from cloudseg_ops.engine.images.sizes import padded_size
from cloudseg_ops.engine.memory.arrays import empty
from cloudseg_ops.engine.network.loading import Network
from cloudseg_ops.engine.network.receptive_field import find_receptive_field, module_receptive_field
from cloudseg_ops.engine.network.reference import describe
from cloudseg_ops.engine.network.tiled import classes_of, segment_tiled
from cloudseg_ops.engine.network.tiling import plan_tiles
from cloudseg_ops.engine.network.transfers import Transfers


class Predictor:
    """A network with what a model's parameters say of pixels and logits; safe to share between threads.

    On a GPU, each thread's copies and kernels go to the CUDA stream that is current in it: of two threads, one copies
    while the other computes.

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
        """Segment photographs that agree in their padded size.

        Raises:
            ModelLoadError: The network's output is not of the shape that the parameters promise.
            NonFiniteLogitsError: The network gave logits that are NaN or infinite.
        """
        logits = self._logits([image.pixels for image in images])
        # Of what was scaled down, the logits go back: they are scaled up before they are classified.
        scaled = [place for place, image in enumerate(images) if image.full_size]
        whole = [place for place, image in enumerate(images) if not image.full_size]
        parts = [all_finite(logits)]
        parts += [logits[scaled].float()] if scaled else []
        parts += [classes_of(logits[whole] if scaled else logits)] if whole else []
        # One wait for all of them: while this thread waits, the GPU has the other worker's batch to compute.
        finite, *arrays = self._transfers.to_host(parts)
        self._require_finite(bool(finite), logits.shape)
        values = dict(zip([*scaled, *whole], itertools.chain.from_iterable(arrays), strict=True))
        return [
            Prediction(self._own(values[place][..., : image.height, : image.width]))
            for place, image in enumerate(images)
        ]

    def _own(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Give contiguous values that keep no pinned memory: on a GPU a copy, for the next batch needs that memory."""
        return np.array(values, order="C") if self._device.type == "cuda" else np.ascontiguousarray(values)

    @torch.inference_mode()
    def predict_tiled(
        self, image: DecodedImage, most_pixels: int, check: Callable[[], None] = lambda: None
    ) -> Prediction:
        """Segment a photograph in tiles; the result is the same as for the whole.

        Args:
            image: The photograph.
            most_pixels: Of a part.
            check: Called before each part; may raise, where there is no time for all of them.

        Raises:
            ImageTooLargeError: The network looks too far around each pixel for parts so small.
        """

        def forward(windows: Sequence[Pixels]) -> torch.Tensor:
            check()
            logits = self._logits(windows)
            self._require_finite(bool(all_finite(logits)), logits.shape)
            return logits

        tiles = plan_tiles(
            image.height, image.width, stride=self.network.stride, halo=self._receptive_field, most_pixels=most_pixels
        )
        size = (image.height, image.width)
        out: Classes | Logits = empty(size, np.uint8)
        if image.full_size:
            out = empty((self._ref.params.n_classes, *size), np.float32)
        segment_tiled(image.pixels, tiles, forward, out)
        return Prediction(out)

    @cached_property
    def _receptive_field(self) -> int | None:
        """How far around each pixel the network looks."""
        params = self._ref.params
        exact = self.network.exact or self.network
        if narrowest := exact.narrowest:
            return module_receptive_field(narrowest(), exact.stride)
        return find_receptive_field(exact.run, in_channels=params.in_channels, stride=exact.stride, device=exact.device)

    def _logits(self, images: Sequence[Pixels]) -> torch.Tensor:
        """Give the logits of images that agree in their padded size: shape (N, n_classes, H, W), on the device."""
        pixels = self._assemble(images)
        # In place, for each step costs as much as a look at every pixel; pixels are channels last already.
        batch = self._transfers.to_device(pixels).permute(0, 3, 1, 2).to(torch.float32, copy=True)
        if pixels.dtype == torch.uint8:
            batch.div_(255)
        batch.sub_(self._mean).div_(self._std)
        logits = self.network.run(batch)
        self._check_shape(logits, batch)
        return logits

    def _assemble(self, images: Sequence[Pixels]) -> torch.Tensor:
        """Lay images into one padded array in main memory, (N, H, W, channels), the last row and column repeated."""
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
                f"{describe(self._ref)} gave {found} for images of shape {tuple(batch.shape)}, and its parameters "
                f"promise logits of shape {expected}; correct n_classes or size_multiple in params.yaml"
            )

    def _require_finite(self, finite: bool, shape: Sequence[int]) -> None:
        if not finite:
            raise NonFiniteLogitsError(
                f"{describe(self._ref)} gave logits that are NaN or infinite, in a batch of shape {tuple(shape)}: such "
                "a mask would mean nothing; check the weights, and --precision fp32"
            )


def all_finite(logits: torch.Tensor) -> torch.Tensor:
    """Tell on the logits' own device whether all of them are finite: a tensor of one bool, for which nothing waits."""
    # If any logit is NaN or infinite, min + max is not finite.
    least, largest = torch.aminmax(logits)
    return torch.isfinite(least + largest)
