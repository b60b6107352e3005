"""Prepares photographs for a network: size, padding, order of channels and normalization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cloudseg_ops.contracts.errors import ModelLoadError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.depth import eight_bit_white
from cloudseg_ops.engine.images.pixels import Pixels, resized
from cloudseg_ops.engine.images.sizes import padded_size
from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.network.tiling import count_fixed_tiles
from cloudseg_ops.engine.network.transfers import Transfers


@dataclass(frozen=True, slots=True)
class Work:
    """What the network computes for an image.

    Attributes:
        size: Height and width of its input, after padding.
        windows: Number of such inputs: more than 1 if the image is cut into tiles of the network's size.
    """

    size: tuple[int, int]
    windows: int

    @property
    def pixels(self) -> int:
        """Pixels of one input."""
        return self.size[0] * self.size[1]


class Inputs:
    """Prepares images for a network; safe to share between threads.

    Args:
        params: The model's parameters.
        network: Its network.
        transfers: Copies to the network's device.
    """

    def __init__(self, params: ModelParams, network: Network, transfers: Transfers) -> None:
        self._network = network
        self._transfers = transfers
        self._flips = params.channel_order == "bgr"
        self._white = eight_bit_white(params.scale)
        normalize = params.normalize
        self._mean = self._per_channel(normalize.mean if normalize else (0.0,) * params.in_channels)
        self._std = self._per_channel(normalize.std if normalize else (1.0,) * params.in_channels)

    def _per_channel(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._network.device).view(1, -1, 1, 1)

    def work(self, size: Sequence[int]) -> Work:
        """Return what the network computes for an image of a height and width."""
        fixed = self._network.size
        if fixed is None:
            return Work(self._padded(size), 1)
        window = (fixed.height, fixed.width)
        tiles = 1 if fixed.fit == "resize" else count_fixed_tiles(size[0], size[1], window)
        return Work(self._padded(window), tiles)

    def _padded(self, size: Sequence[int]) -> tuple[int, int]:
        least = self._network.least
        return padded_size((max(size[0], least[0]), max(size[1], least[1])), self._network.stride)

    def fitted(self, image: DecodedImage) -> DecodedImage:
        """Return an image at the size of the network, if that is fixed and the image was not resized when decoded."""
        fixed = self._network.size
        if not fixed or fixed.fit == "tile" or (image.height, image.width) == (fixed.height, fixed.width):
            return image
        return DecodedImage(resized(image.pixels, (fixed.height, fixed.width)), image.mask_size)

    def sample(self, image: DecodedImage, min_pixels: int) -> DecodedImage:
        """Return the center of an image, to try the network on.

        Args:
            image: The image.
            min_pixels: Size of the center, in pixels, unless the network takes only images of one size.
        """
        fixed = self._network.size
        if fixed and fixed.fit == "resize":
            return image
        height, width = image.height, image.width
        shrink = min(1.0, (min_pixels / (height * width)) ** 0.5)
        rows, columns = max(1, int(height * shrink)), max(1, int(width * shrink))
        if fixed:
            rows, columns = min(height, fixed.height), min(width, fixed.width)
        top, left = (height - rows) // 2, (width - columns) // 2
        return DecodedImage(image.pixels[top : top + rows, left : left + columns])

    def normalized(self, images: Sequence[Pixels]) -> torch.Tensor:
        """Return images of equal padded size as the network takes them, (N, in_channels, H, W), on the device.

        Raises:
            ModelLoadError: They are larger than the largest images that the network takes.
        """
        pixels = self._assemble(images)
        # In place, because each step reads and writes every pixel; the pixels are channels last already.
        batch = self._transfers.to_device(pixels).permute(0, 3, 1, 2).to(torch.float32, copy=True)
        if pixels.dtype == torch.uint8:
            batch.div_(self._white)
        return batch.sub_(self._mean).div_(self._std)

    def _assemble(self, images: Sequence[Pixels]) -> torch.Tensor:
        """Copy images into one array in main memory, (N, H, W, channels), padded with their last row and column."""
        height, width = self.work(images[0].shape[:2]).size
        most = self._network.most
        if most and (height > most[0] or width > most[1]):
            raise ModelLoadError(
                f"{self._network.output.where} was exported for images of at most {most[0]} × {most[1]} pixels, and a "
                f"photograph has {height} × {width} after padding; set max_side or input_size in params.yaml, or "
                "export it with a larger range"
            )
        deep = any(pixels.dtype != np.uint8 for pixels in images)
        batch = self._transfers.empty(
            (len(images), height, width, images[0].shape[2]), torch.float32 if deep else torch.uint8
        )
        array = batch.numpy()
        for place, pixels in zip(array, images, strict=True):
            given = pixels.astype(np.float32) / np.float32(self._white) if deep and pixels.dtype == np.uint8 else pixels
            rows, columns = pixels.shape[:2]
            place[:rows, :columns] = given[..., ::-1] if self._flips else given
            place[rows:, :columns] = place[rows - 1 : rows, :columns]
            place[:, columns:] = place[:, columns - 1 : columns]
        return batch
