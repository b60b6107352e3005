"""From bytes that a stranger uploaded to a small picture, within bounds of bytes, pixels and time."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, cast

from cloudseg_ops.contracts.errors import NotShownError
from cloudseg_ops.contracts.photographs import (
    FORMATS,
    convert,
    draft_jpeg,
    error_text,
    exif_orientation,
    fit_size,
    has_several_frames,
    is_deep,
    white_value,
)

if TYPE_CHECKING:
    from PIL import Image

MOST_BYTES = 48 * 1024 * 1024
"""A larger file is not even downloaded."""
MOST_PIXELS = 25_000_000
"""Pixels that are decoded: a photograph of 6,000 × 4,000, about 300 MB at its worst. Of a JPEG, those count that its
decoder is asked for, down to an eighth of each side."""
_HEADER_PIXELS = 170_000_000  # whatever the format; the largest that a camera makes, and Pillow's own limit is near
DECODING_SECONDS = 10.0
_REDUCING_GAP = 2.0


def decode_photograph(data: bytes, side: int) -> Image.Image:
    """Decode a photograph, upright, no more than `side` pixels long, in RGB.

    Args:
        data: JPEG, PNG, TIFF, WebP or BMP.
        side: Longest side in pixels.

    Raises:
        NotShownError: It is no such photograph, or takes more than it may.
    """
    from PIL import Image

    try:
        with Image.open(_TimedBytes(data, DECODING_SECONDS), formats=FORMATS) as image:
            _draft(image, side)
            _check_frames(image)
            image.load()
            orientation = exif_orientation(image)
            small = _shrunk(image, side)
        return _upright(convert(small, "RGB"), orientation)
    except NotShownError:
        raise
    except Exception as error:  # noqa: BLE001  Pillow raises whatever its many parsers do on broken bytes
        raise NotShownError(_reason(error)) from None


def decode_mask(data: bytes, side: int) -> Image.Image:
    """Decode a mask, no more than `side` pixels long: values are class indices, with the palette of their colors.

    Raises:
        NotShownError: It is not a mask, or takes more than it may.
    """
    from PIL import Image

    try:
        with Image.open(_TimedBytes(data, DECODING_SECONDS), formats=("PNG",)) as image:
            _check_pixels(image, image.width * image.height, MOST_PIXELS)
            _check_mode(image)
            image.load()
            return image.resize(fit_size(image.size, side), Image.Resampling.NEAREST)
    except NotShownError:
        raise
    except Exception as error:  # noqa: BLE001  as above
        raise NotShownError(_reason(error)) from None


class _TimedBytes(io.BytesIO):
    """Bytes that can be read for so long: Pillow asks for them a piece at a time, and gives up when it gets none."""

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._deadline = time.monotonic() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"decoding it takes more than {DECODING_SECONDS:.0f} s")
        return super().read(size)


def _draft(image: Image.Image, side: int) -> None:
    """Have a JPEG decoded at a fraction of its size, and refuse what is still too large."""
    pixels = image.width * image.height
    _check_pixels(image, pixels, _HEADER_PIXELS)
    if image.format in {"JPEG", "MPO"}:
        draft_jpeg(image, fit_size(image.size, side))
        # The decoder keeps all of a progressive one in memory, whatever fraction it gives.
        if not image.info.get("progressive"):
            pixels = image.width * image.height
    _check_pixels(image, pixels, MOST_PIXELS)


def _check_pixels(image: Image.Image, pixels: int, most: int) -> None:
    if pixels < 1:
        raise NotShownError("it has no pixels")
    if pixels > most:
        raise NotShownError(f"{image.format} of {pixels:,} pixels: more than the {most:,} that are decoded here")


def _check_frames(image: Image.Image) -> None:
    if has_several_frames(image):
        raise NotShownError("it holds several frames, not one photograph")


def _check_mode(mask: Image.Image) -> None:
    if mask.mode != "P":
        raise NotShownError(f"it is not a mask: its pixels are {mask.mode}, not indices of a palette")


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    from PIL import Image

    if is_deep(image):
        image = _eight_bits(image)
    elif image.mode != "CMYK":
        # Before it is scaled, which would weigh colors by their transparency, and cannot average a palette's indices.
        image = convert(image, "RGB")
    return image.resize(fit_size(image.size, side), Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP)


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of more than eight bits, with the white that the engine sees in it."""
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


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):  # its own words are of the object in memory
        return f"it is not an image, or not in one of the formats {', '.join(FORMATS)}"
    return f"no picture can be made of it ({error_text(error)})"
