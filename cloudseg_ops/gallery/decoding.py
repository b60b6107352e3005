"""Decodes untrusted uploads to small pictures, with limits on bytes, pixels and time."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, cast

from cloudseg_ops.contracts.photographs import (
    convert,
    draft_jpeg,
    error_text,
    exif_orientation,
    explain_unidentified,
    find_photograph,
    fit_size,
    is_deep,
    name_other_kind,
    readable_formats,
    white_value,
)
from cloudseg_ops.gallery.errors import NotShownError

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 48 * 1024 * 1024
"""Maximum size of a file; a larger one is not downloaded."""
MAX_PIXELS = 25_000_000
"""Maximum number of decoded pixels: a photograph of 6,000 × 4,000, which needs up to 300 MB. For a JPEG, this limits
the size after the decoder's own reduction, which is down to an eighth of each side."""
_HEADER_PIXELS = 170_000_000  # for any format: the largest camera images, and close to Pillow's own limit
DECODING_SECONDS = 10.0
_REDUCING_GAP = 2.0


def decode_photograph(data: bytes, side: int) -> Image.Image:
    """Decode a photograph to an upright RGB image of at most `side` pixels per side.

    Args:
        data: JPEG, PNG, TIFF, WebP or BMP; AVIF or HEIC if the decoder is installed.
        side: Longest side in pixels.

    Raises:
        NotShownError: The data is not such a photograph, or exceeds a limit.
    """
    from PIL import Image

    try:
        with Image.open(_TimedBytes(data, DECODING_SECONDS), formats=readable_formats()) as image:
            _select_photograph(image, data)
            _draft(image, side)
            image.load()
            orientation = exif_orientation(image)
            small = _shrunk(image, side)
        return _upright(convert(small, "RGB"), orientation)
    except NotShownError:
        raise
    except Exception as error:  # noqa: BLE001  Pillow's parsers raise anything on broken data
        raise NotShownError(_reason(error, data)) from None


def decode_mask(data: bytes, side: int) -> Image.Image:
    """Decode a mask to a palette image of class indices, of at most `side` pixels per side.

    Raises:
        NotShownError: The data is not a mask, or exceeds a limit.
    """
    from PIL import Image

    try:
        with Image.open(_TimedBytes(data, DECODING_SECONDS), formats=("PNG",)) as image:
            _check_pixels(image, image.width * image.height, MAX_PIXELS)
            _check_mode(image)
            image.load()
            return image.resize(fit_size(image.size, side), Image.Resampling.NEAREST)
    except NotShownError:
        raise
    except Exception as error:  # noqa: BLE001  as above
        raise NotShownError(_reason(error, data)) from None


class _TimedBytes(io.BytesIO):
    """Bytes that can be read only for a limited time: Pillow reads them in pieces and stops at the first error."""

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._deadline = time.monotonic() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"decoding took more than {DECODING_SECONDS:.0f} s")
        return super().read(size)


def _draft(image: Image.Image, side: int) -> None:
    """Configure a JPEG to be decoded at a fraction of its size, and refuse an image that is still too large."""
    pixels = image.width * image.height
    _check_pixels(image, pixels, _HEADER_PIXELS)
    if image.format in {"JPEG", "MPO"}:
        draft_jpeg(image, fit_size(image.size, side))
        # The decoder holds a progressive JPEG in memory at full size, whatever fraction it returns.
        if not image.info.get("progressive"):
            pixels = image.width * image.height
    _check_pixels(image, pixels, MAX_PIXELS)


def _check_pixels(image: Image.Image, pixels: int, limit: int) -> None:
    if pixels < 1:
        raise NotShownError("it has no pixels")
    if pixels > limit:
        raise NotShownError(f"it has {pixels:,} pixels ({image.format}), more than the {limit:,} that are decoded here")


def _select_photograph(image: Image.Image, data: bytes) -> None:
    if reason := find_photograph(image, data):
        raise NotShownError(reason)


def _check_mode(mask: Image.Image) -> None:
    if mask.mode != "P":
        raise NotShownError(f"it is not a mask: its mode is {mask.mode}, not P (indices of a palette)")


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    from PIL import Image

    if is_deep(image):
        image = _eight_bits(image)
    elif image.mode != "CMYK":
        # Before scaling, which would weight colors by their transparency, and cannot average palette indices.
        image = convert(image, "RGB")
    return image.resize(fit_size(image.size, side), Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Convert a grey image of more than eight bits to eight, with the same white as in the engine."""
    values = image if image.mode == "F" else image.convert("I")
    _, high = cast("tuple[float, float]", values.getextrema())
    white = white_value(image, high)
    return values.convert("F").point(lambda value: value * (255 / white)).convert("L")


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    turn = turns.get(orientation)
    return image if turn is None else image.transpose(turn)


def _reason(error: Exception, data: bytes) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):  # whose message is only the repr of a Python object
        return explain_unidentified(data).reason
    return name_other_kind(data) or f"it cannot be decoded ({error_text(error)})"
