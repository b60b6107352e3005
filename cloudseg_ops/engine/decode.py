"""From the bytes of a photograph to its pixels, or to the reason why there are none."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from cloudseg_ops.errors import BadImageError, EngineError

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
"""Pillow's names; its JPEG decoder opens MPO, too.

The other decoders stay closed: they are old, rarely tested, and would read what strangers upload.
"""

_LONG_SIDE = 1000
_MAX_ASPECT = 50
_ORIENTATION = 0x0112
_SIXTEEN_BITS = 65535
_MAX_REASON = 200

# Pillow loads its decoders when it meets a file that needs them, and threads would meet them half loaded.
Image.init()
# `decode` compares the header's size with its own limit; Pillow's would warn below and raise above another one.
Image.MAX_IMAGE_PIXELS = None

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright photograph.

    Attributes:
        pixels: Shape (height, width, channels), channels 1 or 3; uint8 with values 0–255, or float32 with 0–1
            for what has more than eight bits.
    """

    pixels: Pixels

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.pixels.shape[0])


def decode(data: bytes, in_channels: Literal[1, 3], max_pixels: int) -> DecodedImage:
    """Decode a photograph and turn it upright.

    Transparency is left out: the colors below it count. Of the several pictures in a phone's JPEG (MPO), the
    first one is the photograph.

    Args:
        data: JPEG, PNG, TIFF, WebP or BMP.
        in_channels: 1 for grey, 3 for RGB.
        max_pixels: An image of more is refused before it is decoded.

    Raises:
        BadImageError: It cannot be segmented; the message is a reason that a person understands.
    """
    if not data:
        raise BadImageError("the file is empty (zero bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_header(image, max_pixels)
            image.load()
            return DecodedImage(_upright(_pixels(image, in_channels), _orientation(image)))
    except (BadImageError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise BadImageError(f"not an image, or none of the formats {', '.join(FORMATS)}") from None
    except Exception as error:  # noqa: BLE001  Pillow raises whatever its many parsers do on broken bytes
        raise BadImageError(_broken(error)) from None


def check_decoders() -> None:
    """Prove that this installation reads every format, before a photograph is called broken because it does not.

    Raises:
        EngineError: A format cannot be read here.
    """
    for name in FORMATS:
        buffer = io.BytesIO()
        try:
            Image.new("RGB", (2, 2), "white").save(buffer, name)
            decode(buffer.getvalue(), 3, 4)
        except (BadImageError, KeyError, OSError) as error:
            raise EngineError(
                f"this installation of Pillow cannot read {name} ({error}), and every such photograph would be taken "
                "for a broken one; install Pillow from its wheels, which read it"
            ) from error


def _check_header(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise BadImageError(
            f"decompression bomb: {width} × {height} pixels in its header, more than the {max_pixels} allowed"
        )
    if min(width, height) < 1:
        raise BadImageError(f"no pixels: {width} × {height} in its header")
    if max(width, height) > _LONG_SIDE and max(width, height) > _MAX_ASPECT * min(width, height):
        raise BadImageError(
            f"{width} × {height} pixels is no photograph: one side is more than {_MAX_ASPECT} times the other"
        )
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise BadImageError("it holds several frames (an animation or a file of many pages), not one photograph")


def _pixels(image: Image.Image, in_channels: int) -> Pixels:
    if image.mode.startswith("I") or image.mode == "F":
        grey = _deep(image)
        return np.repeat(grey, in_channels, axis=2)
    if image.mode in {"P", "PA"}:
        # Straight to RGB, Pillow warns of transparency that is lost.
        image = image.convert("RGBA")
    image = image.convert("L" if in_channels == 1 else "RGB")
    return np.array(image).reshape(image.height, image.width, in_channels)


def _deep(image: Image.Image) -> npt.NDArray[np.float32]:
    """Scale a grey image of more than eight bits to 0–1."""
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise BadImageError("some of its pixels are no numbers (NaN or infinite)")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > _SIXTEEN_BITS:
        raise BadImageError(f"its pixels run from {low:g} to {high:g}: neither 0–1, 8 nor 16 bits")
    scale = _SIXTEEN_BITS
    if image.mode == "F":
        scale = next(limit for limit in (1, 255, _SIXTEEN_BITS) if high <= limit)
    return (values.astype(np.float32) / np.float32(scale))[..., None]


def _orientation(image: Image.Image) -> int:
    """Read which way is up, 1 to 8 as in EXIF; 1 where the tag cannot be read, for the pixels are fine."""
    try:
        # After `load`, which turns a TIFF upright by itself and drops its tag.
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  EXIF is parsed by the same readers of broken bytes
        return 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo a rotation and a mirroring; the eight cases are those of EXIF's tag 0x0112."""
    turned: npt.NDArray[Any]
    match orientation:
        case 2:
            turned = pixels[:, ::-1]
        case 3:
            turned = pixels[::-1, ::-1]
        case 4:
            turned = pixels[::-1]
        case 5:
            turned = pixels.transpose(1, 0, 2)
        case 6:
            turned = np.rot90(pixels, -1)
        case 7:
            turned = pixels[::-1, ::-1].transpose(1, 0, 2)
        case 8:
            turned = np.rot90(pixels)
        case _:
            return pixels
    return np.ascontiguousarray(turned)


def _broken(error: Exception) -> str:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_REASON]
    kind = "cut short" if "truncated" in said.lower() else "broken, or cut short"
    return f"the file is {kind} ({said})"
