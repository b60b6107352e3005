"""Decodes photographs to arrays of pixels, or raises the reason why they cannot be segmented."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from PIL import Image, UnidentifiedImageError

from cloudseg_ops.contracts.errors import BadImageError, DecoderMissingError, EngineError
from cloudseg_ops.contracts.photographs import (
    FORMATS,
    convert,
    draft_jpeg,
    error_text,
    exif_orientation,
    explain_unidentified,
    find_photograph,
    fit_size,
    is_deep,
    loses_depth,
    name_other_kind,
    readable_formats,
)
from cloudseg_ops.engine.images.bands import BandedImage, has_bands, refuse_channels
from cloudseg_ops.engine.images.depth import low_range, low_range_of_upper_bits, measure_depth
from cloudseg_ops.engine.images.pixels import Pixels
from cloudseg_ops.engine.images.row_blocks import to_array, to_deep_array, turned_size
from cloudseg_ops.engine.images.sizes import check_size

# Peak memory of decoding in bytes per pixel (measured with Pillow 12.3): Pillow's copies and the array.
_PLAIN_BYTES = 7.5
_SCALED_BYTES = 12
_WEBP_BYTES = 16
_DEEP_BYTES = 20
_VIDEO_CODEC_BYTES = 20  # 10 to 13 with 8 bits and half the color resolution, as most are

# Pillow loads its decoders on first use, which is not thread-safe.
readable_formats()
# `decode` checks the size in the header against its own limit; Pillow has another, and warns before it raises.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright photograph as the network sees it.

    Attributes:
        pixels: Shape (height, width, channels), colors in the order RGB; uint8 with values 0–255, or float32 with
            values 0–1 (1 is white) if the photograph has more than eight bits.
        full_size: Height and width of the photograph if it was scaled for the network; otherwise None.
        range_used: Highest value as a share of white, 0–1, if the photograph has more than eight bits and uses less
            than an eighth of its range; otherwise None.
        crc32c: CRC32C of the photograph's stored bytes if its listing has none; otherwise empty.
    """

    pixels: Pixels
    full_size: tuple[int, int] | None = None
    range_used: float | None = None
    crc32c: str = ""

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def mask_size(self) -> tuple[int, int]:
        """Height and width of the mask, in pixels."""
        return self.full_size or (self.height, self.width)


def decode(
    data: bytes | bytearray,
    in_channels: int,
    max_pixels: int,
    *,
    max_side: int | None = None,
    resize_to: tuple[int, int] | None = None,
    scale: float | None = None,
    reserve: Callable[[int], None] = lambda _: None,
) -> DecodedImage:
    """Decode a photograph, rotate it upright, and scale it to the size that the model takes.

    The alpha channel is dropped, and the colors below it are kept. Of a phone's JPEG with several frames (MPO), the
    first frame is used; of a TIFF with overviews, thumbnails or masks, the page of the photograph. Scaling is bilinear
    with antialiasing.

    Args:
        data: JPEG, PNG, TIFF, WebP or BMP; AVIF or HEIC if the decoder is installed.
        in_channels: 1 for grey, 3 for RGB; another number for a TIFF with exactly that many bands.
        max_pixels: Maximum number of pixels; a larger image is refused before it is decoded.
        max_side: Longest side of the network's input, in pixels; None: no limit.
        resize_to: Height and width of the network's input; None: those of the photograph.
        scale: The value that becomes 1 in photographs of more than eight bits; None: the largest one of their type.
        reserve: Called after the header is read, with the bytes that decoding needs; it may block or raise.

    Raises:
        BadImageError: The image cannot be segmented; the message is a reason for people to read.
        DecoderMissingError: The image is an AVIF or HEIC image, and the decoder is not installed.
    """
    if not data:
        raise BadImageError("the file is empty (zero bytes)")

    def fitted(full: tuple[int, int], orientation: int) -> tuple[int, int]:
        return turned_size(resize_to, orientation) if resize_to else fit_size(full, max_side)

    if has_bands(data, in_channels, scale):
        with _reading(data):
            banded = BandedImage.open(data, in_channels, max_pixels)
        reserve(banded.decoding_bytes)
        with _reading(data):
            return DecodedImage(*banded.decode(fitted, scale))
    with contextlib.ExitStack() as opened:
        with _reading(data):
            image = opened.enter_context(Image.open(io.BytesIO(data), formats=readable_formats()))
            if reason := find_photograph(image, data) or refuse_channels(image, in_channels, scale):
                raise BadImageError(reason)
            check_size(image.size, max_pixels)
            shallow = loses_depth(image)
            full = (image.height, image.width)
            # Only a JPEG's draft needs its orientation before it is loaded.
            seen = fitted(full, exif_orientation(image) if image.format in {"JPEG", "MPO"} else 1)
            draft_jpeg(image, (seen[1], seen[0]))
            amount = _decoding_bytes(image, scaled=seen != full)
        # Outside of `_reading`, because an error of the memory budget does not mean that the photograph is broken.
        reserve(amount)
        with _reading(data):
            image.load()
            if image.format in {"TIFF", "HEIF"}:
                # Loading has rotated a TIFF, which may have swapped its sides; a HEIC's header may be wrong.
                full = (image.height, image.width)
            orientation = exif_orientation(image)
            seen = fitted(full, orientation)
            used = low_range_of_upper_bits(image) if shallow else None
            pixels, deep_used = _pixels(image, in_channels, seen, orientation, scale)
    return DecodedImage(pixels, None if seen == full else turned_size(full, orientation), used or deep_used)


@contextlib.contextmanager
def _reading(data: bytes | bytearray) -> Iterator[None]:
    """Raise `BadImageError` for any error that Pillow raises while it reads a file."""
    try:
        yield
    except (BadImageError, EngineError, MemoryError):
        raise
    except UnidentifiedImageError:
        found = explain_unidentified(data)
        raise (DecoderMissingError if found.missing else BadImageError)(found.reason) from None
    except Exception as error:  # noqa: BLE001  Pillow's parsers raise anything on broken data
        raise BadImageError(name_other_kind(data) or _broken(error)) from None


def check_decoders() -> None:
    """Check that this installation of Pillow reads every format, so that no valid photograph is taken for broken.

    Raises:
        EngineError: A format cannot be read.
    """
    for name in FORMATS:
        buffer = io.BytesIO()
        try:
            Image.new("RGB", (2, 2), "white").save(buffer, name)
            decode(buffer.getvalue(), 3, 4)
        except (BadImageError, KeyError, OSError) as error:
            raise EngineError(
                f"this installation of Pillow cannot read {name} ({error}), so every such photograph would be "
                "quarantined as broken; install Pillow from its wheels, which can read it"
            ) from error


def _decoding_bytes(image: Image.Image, *, scaled: bool) -> int:
    """Return the peak memory of decoding, in bytes."""
    each = _SCALED_BYTES if scaled else _PLAIN_BYTES
    if is_deep(image):
        each = _DEEP_BYTES
    elif image.format == "WEBP":
        each = _WEBP_BYTES
    elif image.format in {"AVIF", "HEIF"}:
        each = _VIDEO_CODEC_BYTES
    return int(each * image.width * image.height)


def _pixels(
    image: Image.Image, in_channels: int, seen: tuple[int, int], orientation: int, scale: float | None
) -> tuple[Pixels, float | None]:
    """Return the pixels, and the share of the range that they use if they are deep and it is low."""
    if is_deep(image):
        high, white = measure_depth(image, scale)
        if seen != (image.height, image.width):
            image = _resized(image if image.mode == "F" else image.convert("I").convert("F"), seen)
        return to_deep_array(image, in_channels, white, orientation), low_range(high, white)
    mode: Literal["L", "RGB"] = "L" if in_channels == 1 else "RGB"
    if seen != (image.height, image.width):
        image = _resized(convert(image, mode), seen)
    return to_array(image, mode, orientation), None


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def _broken(error: Exception) -> str:
    text = error_text(error)
    kind = "truncated" if "truncated" in text.lower() else "broken or truncated"
    return f"the file is {kind} ({text})"
