"""From bytes that a stranger uploaded to a small picture, within bounds of bytes, pixels and time."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, cast

from cloudseg_ops.contracts.errors import NotShownError

if TYPE_CHECKING:
    from PIL import Image

MOST_BYTES = 48 * 1024 * 1024
"""A larger file is not even downloaded."""
MOST_PIXELS = 25_000_000
"""Pixels that are decoded: a photograph of 6,000 × 4,000, about 300 MB at its worst. Of a JPEG, those count that its
decoder is asked for, down to an eighth of each side."""
_HEADER_PIXELS = 170_000_000  # whatever the format; the largest that a camera makes, and Pillow's own limit is near
DECODING_SECONDS = 10.0
_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")  # what the engine takes; the other decoders stay closed
_DRAFT = 2  # so many times what is shown, for the filter that scales it down for good
_ORIENTATION = 0x0112
_SIXTEEN_BITS = 65535


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
        with Image.open(_TimedBytes(data, DECODING_SECONDS), formats=_FORMATS) as image:
            _draft(image, side)
            _check_frames(image)
            image.load()
            orientation = _orientation(image)
            small = _shrunk(image, side)
        return _upright(_rgb(small), orientation)
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
            return image.resize(_size_within(image.size, side), Image.Resampling.NEAREST)
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
        scale = _DRAFT * side / max(image.size)
        image.draft(None, (max(1, round(image.width * scale)), max(1, round(image.height * scale))))
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
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise NotShownError("it holds several frames, not one photograph")


def _check_mode(mask: Image.Image) -> None:
    if mask.mode != "P":
        raise NotShownError(f"it is not a mask: its pixels are {mask.mode}, not indices of a palette")


def _size_within(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    from PIL import Image

    if _is_deep(image):
        image = _eight_bits(image)
    elif image.mode != "CMYK":
        # Before it is scaled, which would weigh colors by their transparency, and cannot average a palette's indices.
        image = _rgb(image)
    return image.resize(_size_within(image.size, side), Image.Resampling.BILINEAR, reducing_gap=_DRAFT)


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of more than eight bits, with the white that the engine sees in it."""
    values = image if image.mode == "F" else image.convert("I")
    _, high = cast("tuple[float, float]", values.getextrema())
    full = _SIXTEEN_BITS if image.mode != "F" else next((limit for limit in (1, 255) if high <= limit), _SIXTEEN_BITS)
    return values.convert("F").point(lambda value: value * (255 / full)).convert("L")


def _rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB; transparency is left out, as for the engine: the colors below it are the photograph's."""
    if image.mode in {"P", "PA"}:
        image = image.convert("RGBA")  # straight to RGB, Pillow warns of transparency that is lost
    return image if image.mode == "RGB" else image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """Read which way is up, 1 to 8 as in EXIF; 1 where the tag cannot be read, for the pixels are fine."""
    try:
        # After `load`, which already rotates a TIFF upright and drops its tag.
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  EXIF is parsed by the same readers of broken bytes
        return 1


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
        return f"it is not an image in one of the formats {', '.join(_FORMATS)}"
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return f"no picture can be made of it ({said})"
