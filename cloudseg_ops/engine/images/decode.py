"""From the bytes of a photograph to its pixels, or to the reason why there are none."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from cloudseg_ops.contracts.errors import BadImageError, EngineError
from cloudseg_ops.contracts.photographs import (
    FORMATS,
    SIXTEEN_BITS,
    convert,
    draft_jpeg,
    error_text,
    exif_orientation,
    fit_size,
    has_several_frames,
    is_deep,
    white_value,
)
from cloudseg_ops.engine.images.row_blocks import TURNED, to_array, to_deep_array, value_range

_LONG_SIDE = 1000
_MAX_ASPECT = 50

# Bytes a pixel that decoding takes at its worst (measured, Pillow 12.3): its own copies, and the array.
_PLAIN_BYTES = 7.5
_SCALED_BYTES = 12
_WEBP_BYTES = 16
_DEEP_BYTES = 20

# Pillow loads its decoders when it meets a file that needs them, and threads would meet them half loaded.
Image.init()
# `decode` compares the header's size with its own limit; Pillow's would warn below and raise above another one.
Image.MAX_IMAGE_PIXELS = None

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright photograph as the network sees it.

    Attributes:
        pixels: Shape (height, width, channels), channels 1 or 3; uint8 with values 0–255, or float32 with 0–1
            for what has more than eight bits.
        full_size: Height and width of the photograph, where it was scaled down for the network.
    """

    pixels: Pixels
    full_size: tuple[int, int] | None = None

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.pixels.shape[0])

    @property
    def mask_size(self) -> tuple[int, int]:
        """Height and width of its mask."""
        return self.full_size or (self.height, self.width)


def decode(
    data: bytes | bytearray,
    in_channels: Literal[1, 3],
    max_pixels: int,
    *,
    max_side: int | None = None,
    reserve: Callable[[int], None] = lambda _: None,
) -> DecodedImage:
    """Decode a photograph, turn it upright, and scale it down where the network is to see less of it.

    Transparency is left out: the colors below it count. Of the several pictures in a phone's JPEG (MPO), the
    first one is the photograph. Scaling down is bilinear with antialiasing.

    Args:
        data: JPEG, PNG, TIFF, WebP or BMP.
        in_channels: 1 for grey, 3 for RGB.
        max_pixels: An image of more is refused before it is decoded.
        max_side: Longest side in pixels that the network sees; None: all of it.
        reserve: Called, once the header is read, with the bytes that decoding takes; it may wait or refuse.

    Raises:
        BadImageError: It cannot be segmented; the message is a reason that a person understands.
    """
    if not data:
        raise BadImageError("the file is empty (zero bytes)")
    with contextlib.ExitStack() as opened:
        with _reading():
            image = opened.enter_context(Image.open(io.BytesIO(data), formats=FORMATS))
            _check_header(image, max_pixels)
            full = (image.height, image.width)
            seen = fit_size(full, max_side)
            draft_jpeg(image, (seen[1], seen[0]))
            amount = _decoding_bytes(image, scaled=seen != full)
        # Outside: a memory budget that cannot be asked says nothing of the photograph.
        reserve(amount)
        with _reading():
            image.load()
            if image.format == "TIFF":
                # Turned by now, which may have swapped its sides.
                full = (image.height, image.width)
                seen = fit_size(full, max_side)
            orientation = exif_orientation(image)
            pixels = _pixels(image, in_channels, seen, orientation)
    return DecodedImage(pixels, None if seen == full else _turned(full, orientation))


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Raise `BadImageError` for whatever Pillow raises of a file's bytes."""
    try:
        yield
    except (BadImageError, EngineError, MemoryError):
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
            f"{width} × {height} pixels is not a photograph: one side is more than {_MAX_ASPECT} times the other"
        )
    if has_several_frames(image):
        raise BadImageError("it holds several frames (an animation or a file of many pages), not one photograph")


def _decoding_bytes(image: Image.Image, *, scaled: bool) -> int:
    """Bytes that decoding takes at its worst."""
    each = _SCALED_BYTES if scaled else _PLAIN_BYTES
    if is_deep(image):
        each = _DEEP_BYTES
    elif image.format == "WEBP":
        each = _WEBP_BYTES
    return int(each * image.width * image.height)


def _pixels(image: Image.Image, in_channels: Literal[1, 3], seen: tuple[int, int], orientation: int) -> Pixels:
    if is_deep(image):
        full = _full_value(image)
        if seen != (image.height, image.width):
            image = _resized(image if image.mode == "F" else image.convert("I").convert("F"), seen)
        return to_deep_array(image, in_channels, full, orientation)
    mode: Literal["L", "RGB"] = "L" if in_channels == 1 else "RGB"
    if seen != (image.height, image.width):
        image = _resized(convert(image, mode), seen)
    return to_array(image, mode, orientation)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def _full_value(image: Image.Image) -> float:
    """Tell which value of a grey image of more than eight bits is white."""
    low, high = value_range(image)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadImageError("some of its pixels are NaN or infinite")
    if low < 0 or high > SIXTEEN_BITS:
        raise BadImageError(f"its pixels run from {low:g} to {high:g}: neither 0–1, 8 nor 16 bits")
    return white_value(image, high)


def _turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return (size[1], size[0]) if orientation in TURNED else size


def _broken(error: Exception) -> str:
    said = error_text(error)
    kind = "cut short" if "truncated" in said.lower() else "broken, or cut short"
    return f"the file is {kind} ({said})"
