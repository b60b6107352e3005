"""Finds the objects that can be shown for an image: its photograph, its mask or its preview."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import mask_provenance, quarantine_source
from cloudseg_ops.contracts.provenance import MaskProvenance, Source, archive_name, mask_name, quarantine_name
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout, preview_uri
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.gallery.searching import Entry
from cloudseg_ops.storage import ObjectInfo, Store
from cloudseg_ops.storage.concurrency import in_order

_AT_ONCE = 16


class Shape(StrEnum):
    """The kind of picture that is shown for an image."""

    PAIR = "pair"
    """The photograph next to its mask overlay."""
    PREVIEW = "preview"
    """The engine's preview, which is such a pair, since the photograph has been deleted."""
    PHOTOGRAPH = "photograph"
    """Only the photograph, since there is no mask."""
    MASK = "mask"
    """Only the mask, in the colors of its palette, since the photograph has been deleted and there is no preview."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Shown:
    """The objects that can be shown for an image.

    Attributes:
        photograph: Exactly this version of the photograph, in INPUT, the archive or quarantine.
        mask: A mask of exactly this version.
        preview: The engine's preview of exactly this version; only looked up if there is no photograph.
        superseded: Whether a newer upload has replaced the photograph.
    """

    photograph: ObjectInfo | None = None
    mask: ObjectInfo | None = None
    preview: ObjectInfo | None = None
    superseded: bool = False

    @property
    def shape(self) -> Shape:
        """The kind of picture that is shown."""
        if self.photograph:
            return Shape.PAIR if self.mask else Shape.PHOTOGRAPH
        if self.preview:
            return Shape.PREVIEW
        return Shape.MASK if self.mask else Shape.NOTHING

    @property
    def version(self) -> str:
        """Cache key of the picture, which changes with any of the objects."""
        parts = (self.photograph, self.mask, self.preview)
        return "-".join(str(part.generation) if part else "0" for part in parts)


def locate(store: Store, layout: RunLayout, input_bucket: str, chunk: int, result: Result) -> Shown:
    """Find the objects that can be shown for an image, in two to five requests.

    Objects of other versions with the same name are not shown.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        input_bucket: The input bucket.
        chunk: Index of the image's chunk.
        result: The image's result.
    """
    version = result.source
    source = Source(input_bucket, version.name, version.generation, version.crc32c)
    masked = result.outcome in (Outcome.DONE, Outcome.SKIPPED)
    mask = _mask(store, layout, source) if masked else None
    current = store.stat(GcsUri(input_bucket, version.name))
    superseded = current is not None and current.generation > version.generation
    if current and current.generation == version.generation:
        photograph: ObjectInfo | None = current
    else:
        photograph = _moved(store, layout, source, version, masked=masked)
    if photograph or not masked:
        return Shown(photograph, mask, superseded=superseded)
    return Shown(None, mask, _preview(store, layout, chunk, source), superseded=superseded)


def locate_all(store: Store, layout: RunLayout, input_bucket: str, entries: Sequence[Entry]) -> list[Shown]:
    """Find the objects that can be shown for the images of a page, concurrently.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        input_bucket: The input bucket.
        entries: The images of the page.
    """

    def one(entry: Entry) -> Shown:
        return locate(store, layout, input_bucket, entry.chunk, entry.result)

    return list(in_order(one, entries, at_once=_AT_ONCE))


def _moved(store: Store, layout: RunLayout, source: Source, version: InputObject, *, masked: bool) -> ObjectInfo | None:
    """Return the copy of a photograph in the archive or in quarantine."""
    name = archive_name(source.name) if masked else quarantine_name(source.name)
    copy = store.stat(GcsUri(layout.output.bucket, name))
    if copy is None:
        return None
    origin = Source.from_metadata(copy.metadata) if masked else quarantine_source(copy)
    return copy if origin and origin.matches(source) and copy.size == version.size else None


def _mask(store: Store, layout: RunLayout, source: Source) -> ObjectInfo | None:
    mask = store.stat(GcsUri(layout.output.bucket, mask_name(source.name)))
    provenance = mask_provenance(mask)
    return mask if provenance and provenance.source.matches(source) else None


def _preview(store: Store, layout: RunLayout, chunk: int, source: Source) -> ObjectInfo | None:
    for first in (True, False):
        preview = store.stat(preview_uri(layout.previews_folder, chunk, source.name, source.generation, first=first))
        provenance = MaskProvenance.from_metadata(preview.metadata) if preview else None
        if provenance and provenance.source.matches(source):
            return preview
    return None
