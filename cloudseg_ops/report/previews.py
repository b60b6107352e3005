"""The pictures of the contact sheet: a sample of a run's previews."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from cloudseg_ops.contracts.errors import ObjectNotFoundError
from cloudseg_ops.contracts.provenance import MaskProvenance
from cloudseg_ops.contracts.run_layout import MORE_FOLDER, RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.report.cover import checked_fraction
from cloudseg_ops.storage import ObjectInfo, Store

MAX_PREVIEWS = 48
MAX_PREVIEW_BYTES = 60_000
_MAX_READ = 1_000_000
_JPEG_START = b"\xff\xd8\xff"
_READERS = 8

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture of the contact sheet.

    Attributes:
        name: The input's name.
        cloud_fraction: Share of cloud pixels, 0–1.
        jpeg: The photograph on the left, its overlay on the right.
    """

    name: str
    cloud_fraction: float
    jpeg: bytes


def read_previews(store: Store, layout: RunLayout) -> list[Preview]:
    """Return up to 48 previews, evenly sampled from the run and sorted from clear to overcast.

    Only the first previews of each chunk are listed. Their names begin with the chunk's index, so that an even sample
    by name covers all chunks. Previews of more than 60 kB are compressed further. Objects that are not JPEG or lack a
    provenance are left out.
    """
    folder = GcsUri(layout.staging.bucket, layout.previews_folder.name + "/")
    chosen = spread(_usable(store.list_objects(folder, end=folder.name + MORE_FOLDER)), MAX_PREVIEWS)
    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        read = pool.map(lambda item: _read(store, *item), chosen)
    return sorted((preview for preview in read if preview), key=lambda one: (one.cloud_fraction, one.name))


def spread(items: Iterable[_Item], limit: int) -> list[_Item]:
    """Return at most `limit` evenly spaced items, holding no more than twice as many at any time."""
    kept: list[_Item] = []
    stride = 1
    for position, item in enumerate(items):
        if position % stride:
            continue
        kept.append(item)
        if len(kept) == 2 * limit:
            kept = kept[::2]
            stride *= 2
    return kept if len(kept) <= limit else _evenly(kept, limit)


def _evenly(items: Sequence[_Item], limit: int) -> list[_Item]:
    return [items[index * len(items) // limit] for index in range(limit)]


def _usable(listed: Iterable[ObjectInfo]) -> Iterator[tuple[ObjectInfo, MaskProvenance]]:
    for info in listed:
        provenance = MaskProvenance.from_metadata(info.metadata)
        if provenance and info.size <= _MAX_READ and checked_fraction(provenance.cloud_fraction) is not None:
            yield info, provenance


def _read(store: Store, info: ObjectInfo, provenance: MaskProvenance) -> Preview | None:
    try:
        jpeg = store.read(GcsUri(info.bucket, info.name), generation=info.generation)
    except ObjectNotFoundError:  # a retry of the chunk has replaced it since the listing
        return None
    if len(jpeg) > MAX_PREVIEW_BYTES:
        jpeg = _compressed(jpeg)
    if not jpeg.startswith(_JPEG_START) or len(jpeg) > MAX_PREVIEW_BYTES:
        return None
    return Preview(provenance.source.name, provenance.cloud_fraction, jpeg)


def _compressed(jpeg: bytes) -> bytes:
    """Compress a JPEG as little as necessary to fit, as for photographs of foliage; return b"" if it is not a JPEG."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as picture:
            for side, quality in ((640, 60), (640, 40), (480, 30)):
                picture.thumbnail((side, side))
                stream = io.BytesIO()
                picture.save(stream, "JPEG", quality=quality)
                if stream.tell() <= MAX_PREVIEW_BYTES:
                    return stream.getvalue()
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        pass
    return b""
