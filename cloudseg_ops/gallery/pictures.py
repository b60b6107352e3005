"""Makes the pictures for a browser, a few at a time, so that the API server stays responsive."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudseg_ops.contracts.overlay import CLOUD, draw_pair, to_jpeg
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.gallery.decoding import MAX_BYTES, decode_mask, decode_photograph
from cloudseg_ops.gallery.errors import BusyError, NotShownError
from cloudseg_ops.gallery.locating import Shape, Shown
from cloudseg_ops.storage import ObjectInfo, Store

if TYPE_CHECKING:
    from PIL import Image

SIDES = {"small": 320, "large": 960}
"""Longest side of a photograph in pixels, by the name of the size."""
_AT_ONCE = 2
_WAIT_SECONDS = 20.0
_MAX_PREVIEW_BYTES = 1_000_000
_JPEG_START = b"\xff\xd8\xff"

_slots = threading.BoundedSemaphore(_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture for a browser.

    Attributes:
        data: The encoded file.
        content_type: `image/jpeg` or `image/png`.
    """

    data: bytes
    content_type: str


def make_picture(store: Store, shown: Shown, side: int) -> Picture:
    """Make the picture of an image.

    Photographs are untrusted: files that are too large are not downloaded, decoding is limited in time, and every
    photograph is re-encoded.

    Args:
        store: Cloud Storage.
        shown: The objects that can be shown.
        side: Longest side of the photograph in pixels.

    Raises:
        NotShownError: The image cannot be shown.
        BusyError: The maximum number of pictures is in progress, and none was finished in time.
        ObjectNotFoundError: An object has changed since it was found.
    """
    if shown.preview and shown.shape is Shape.PREVIEW:
        return _preview(store, shown.preview)
    with _slot():
        if shown.photograph:
            photograph = decode_photograph(_read(store, shown.photograph), side)
            if shown.mask is None:
                return Picture(to_jpeg(photograph), "image/jpeg")
            mask = decode_mask(_read(store, shown.mask), side)
            return Picture(to_jpeg(draw_pair(photograph, cloud_of(mask))), "image/jpeg")
        if shown.mask:
            return Picture(as_png(decode_mask(_read(store, shown.mask), side)), "image/png")
    raise NotShownError("there is neither a photograph nor a mask")


def cloud_of(mask: Image.Image) -> Image.Image:
    """Return the cloud pixels of a mask in the format of `draw_pair`.

    Args:
        mask: Palette image of class indices.
    """
    from PIL import Image

    indices = Image.frombytes("L", mask.size, mask.tobytes())  # `convert` would apply the palette
    return indices.point([255 if index == CLOUD else 0 for index in range(256)])


def as_png(mask: Image.Image) -> bytes:
    """Encode a mask as PNG, in the colors of its palette and without other metadata of its file."""
    stream = io.BytesIO()
    mask.info.clear()
    mask.save(stream, "PNG")
    return stream.getvalue()


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots.acquire(timeout=_WAIT_SECONDS):
        raise BusyError(f"{_AT_ONCE} pictures are already being made, and none was finished in time; load it again")
    try:
        yield
    finally:
        _slots.release()


def _read(store: Store, info: ObjectInfo) -> bytes:
    if info.size > MAX_BYTES:
        raise NotShownError(f"its file has {info.size:,} bytes, more than the {MAX_BYTES:,} that are read here")
    if not info.size:
        raise NotShownError("its file is empty (zero bytes)")
    # Read as stored: a file with a gzip content encoding could be a thousand times as large after decompression.
    return store.read_part(GcsUri(info.bucket, info.name), 0, info.size, generation=info.generation)


def _preview(store: Store, info: ObjectInfo) -> Picture:
    if info.size > _MAX_PREVIEW_BYTES:
        raise NotShownError(f"its preview has {info.size:,} bytes, too many for one made by the engine")
    data = _read(store, info)
    if not data.startswith(_JPEG_START):
        raise NotShownError("its preview is not a JPEG, so it was not made by the engine")
    return Picture(data, "image/jpeg")
