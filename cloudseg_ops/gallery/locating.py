"""Finds what can be shown of an image: its photograph wherever it is by now, its mask, or its preview."""

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
    """What is shown of an image."""

    PAIR = "pair"
    """The photograph, and next to it the same with its clouds marked."""
    PREVIEW = "preview"
    """The same as the engine drew it, in place of a photograph that is deleted."""
    PHOTOGRAPH = "photograph"
    """The photograph alone: it has no mask."""
    MASK = "mask"
    """The mask alone, in its palette's colors: the photograph is deleted, and there is no preview."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to be shown of an image.

    Attributes:
        photograph: Exactly its version, in INPUT, in the archive or in quarantine.
        mask: A mask of exactly its version.
        preview: The engine's preview of exactly its version; looked for only where there is no photograph.
        superseded: Whether a newer upload has the photograph's name.
    """

    photograph: ObjectInfo | None = None
    mask: ObjectInfo | None = None
    preview: ObjectInfo | None = None
    superseded: bool = False

    @property
    def shape(self) -> Shape:
        """What is shown."""
        if self.photograph:
            return Shape.PAIR if self.mask else Shape.PHOTOGRAPH
        if self.preview:
            return Shape.PREVIEW
        return Shape.MASK if self.mask else Shape.NOTHING

    @property
    def version(self) -> str:
        """What the picture is made of, for caches: another one where any of it has changed."""
        parts = (self.photograph, self.mask, self.preview)
        return "-".join(str(part.generation) if part else "0" for part in parts)


def locate(store: Store, layout: RunLayout, input_bucket: str, chunk: int, result: Result) -> Shown:
    """Find what can be shown of an image, in two to five requests.

    Whatever has its name and is another version is not shown.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        input_bucket: The input bucket.
        chunk: The image's chunk.
        result: What became of it.
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
    """Find what can be shown of the images of a page, several at once."""

    def one(entry: Entry) -> Shown:
        return locate(store, layout, input_bucket, entry.chunk, entry.result)

    return list(in_order(one, entries, at_once=_AT_ONCE))


def _moved(store: Store, layout: RunLayout, source: Source, version: InputObject, *, masked: bool) -> ObjectInfo | None:
    """The photograph where a run has copied it to, in OUTPUT."""
    name = archive_name(source.name) if masked else quarantine_name(source.name)
    copy = store.stat(GcsUri(layout.output.bucket, name))
    if copy is None:
        return None
    origin = Source.from_metadata(copy.metadata) if masked else quarantine_source(copy)
    return copy if origin == source and copy.size == version.size else None


def _mask(store: Store, layout: RunLayout, source: Source) -> ObjectInfo | None:
    mask = store.stat(GcsUri(layout.output.bucket, mask_name(source.name)))
    provenance = mask_provenance(mask)
    return mask if provenance and provenance.source == source else None


def _preview(store: Store, layout: RunLayout, chunk: int, source: Source) -> ObjectInfo | None:
    for first in (True, False):
        preview = store.stat(preview_uri(layout.previews_folder, chunk, source.name, source.generation, first=first))
        provenance = MaskProvenance.from_metadata(preview.metadata) if preview else None
        if provenance and provenance.source == source:
            return preview
    return None
