"""Decodes TIFF images of any number of bands, and of colors of more than eight bits at their full depth."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cloudseg_ops.contracts.errors import BadImageError
from cloudseg_ops.contracts.photographs import SIXTEEN_BITS, loses_depth, readable_formats
from cloudseg_ops.contracts.tiff_pages import TiffPage, describe, photograph_page, read_pages
from cloudseg_ops.engine.images.depth import check_values, low_range
from cloudseg_ops.engine.images.pixels import Pixels, resized
from cloudseg_ops.engine.images.row_blocks import as_stored, turned_size
from cloudseg_ops.engine.images.sizes import check_size
from cloudseg_ops.engine.images.tiff_bands import Data, GreyPages, grey_pages
from cloudseg_ops.engine.memory.arrays import empty

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SAMPLE_BYTES = 16
"""Peak memory of decoding in bytes per sample: Pillow's image, the array, and their conversion to floats."""

Fit = Callable[[tuple[int, int], int], tuple[int, int]]
"""From an image's height and width as stored, and its orientation, to those that it is scaled to."""


def has_bands(data: Data, in_channels: int, scale: float | None) -> bool:
    """Return whether a file must be decoded as a `BandedImage`.

    Args:
        data: The file.
        in_channels: The number of channels that the model takes.
        scale: The model's white level.
    """
    is_color = in_channels == 3 and scale is not None
    if not data.startswith(_TIFF) or not (is_color or in_channels not in (1, 3)):
        return False
    found = _photograph(data)
    if found is None:
        return False
    page = found[1]
    return not page.is_raw and (in_channels not in (1, 3) or (page.bands in (3, 4) and page.bits > 8))


def refuse_channels(image: Image.Image, in_channels: int, scale: float | None) -> str | None:
    """Return why an image that Pillow reads cannot give a model what it takes; None if it can.

    Args:
        image: An opened image that is not loaded yet.
        in_channels: The number of channels that the model takes.
        scale: The model's white level.
    """
    if in_channels not in (1, 3):
        return (
            f"a {image.format} image of the mode {image.mode}, and the model takes {in_channels} bands: only TIFF "
            "images with exactly as many bands can be read for it"
        )
    if scale and scale > 255 and loses_depth(image):
        kind = "in color" if in_channels == 3 else "in grey"
        return (
            f"16 bits per color, of which only the upper 8 can be read here, and the model's white level is {scale:g}: "
            f"convert it to a TIFF image {kind} (gdal_translate) and upload it again"
        )
    return None


@dataclass(frozen=True, slots=True)
class BandedImage:
    """A TIFF image whose bands can be decoded.

    Attributes:
        grey: The file in a form that Pillow reads.
        channels: Number of bands to return.
    """

    grey: GreyPages
    channels: int

    @classmethod
    def open(cls, data: Data, in_channels: int, max_pixels: int) -> BandedImage:
        """Read the header of a file for which `has_bands` is true.

        Args:
            data: The file.
            in_channels: Number of bands that the model takes; with 3, a fourth one is ignored.
            max_pixels: Maximum number of pixels.

        Raises:
            BadImageError: The image cannot be segmented; the message is a reason for people to read.
        """
        found = _photograph(data)
        if found is None:
            raise BadImageError("it is not one image")
        index, page = found
        if page.bands != in_channels and not (in_channels == 3 and page.bands == 4):
            raise BadImageError(f"a TIFF image with {describe(page)}, and the model takes {in_channels} bands")
        check_size((page.width, page.height), max_pixels)
        return cls(grey_pages(data, index, page), in_channels)

    @property
    def decoding_bytes(self) -> int:
        """Peak memory of decoding, in bytes."""
        page = self.grey.page
        return _SAMPLE_BYTES * page.width * page.height * page.bands

    def decode(self, fit: Fit, scale: float | None) -> tuple[Pixels, tuple[int, int] | None, float | None]:
        """Decode the bands to an upright array.

        Args:
            fit: Returns the size to scale the image to.
            scale: The value that becomes 1; None: the largest one of the type.

        Returns:
            The pixels; the height and width of the image if it was scaled, else None; the share of the range that it
            uses if that is low, else None.

        Raises:
            BadImageError: Its values are not those of a photograph.
        """
        orientation = self.grey.orientation
        pixels, used = _scaled_to_white(_read(self.grey)[..., : self.channels], scale)
        stored = (pixels.shape[0], pixels.shape[1])
        seen = fit(stored, orientation)
        if seen != stored:
            pixels = resized(pixels, seen)
        upright: Pixels = empty((*turned_size(seen, orientation), self.channels), pixels.dtype)
        as_stored(upright, orientation)[:] = pixels
        return upright, None if seen == stored else turned_size(stored, orientation), used


def _photograph(data: Data) -> tuple[int, TiffPage] | None:
    pages = read_pages(data)
    index = photograph_page(pages) if pages else None
    return None if index is None else (index, pages[index])


def _read(grey: GreyPages) -> npt.NDArray[Any]:
    """Return the values as stored, shape (height, width, bands)."""
    with Image.open(io.BytesIO(grey.data), formats=[name for name in readable_formats() if name == "TIFF"]) as image:
        parts = []
        for place in range(grey.page.bands // grey.together):
            image.seek(place)
            parts.append(grey.restored(np.asarray(image)))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _scaled_to_white(values: npt.NDArray[Any], scale: float | None) -> tuple[Pixels, float | None]:
    """Return values with white as 1, unless they have eight bits; and the share of the range if it is low."""
    if values.dtype == np.uint8:
        return values, None
    low, high = float(values.min()), float(values.max())
    check_values(low, high, scale)
    is_float = values.dtype.kind == "f"
    white = scale or next((white for white in (1, 255) if is_float and high <= white), SIXTEEN_BITS)
    return values.astype(np.float32) / np.float32(white), low_range(high, white)
