"""Runs for the gallery: results as the engine writes them, and real photographs and masks in the buckets."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.provenance import (
    MaskProvenance,
    Source,
    archive_name,
    mask_name,
    quarantine_metadata,
    quarantine_name,
)
from cloudseg_ops.contracts.results import ChunkSummary, Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.images.masks import encode_mask
from cloudseg_ops.storage import ObjectInfo, Store
from tests.conftest import Buckets
from tests.support.samples import provenance, put_input

SIZE = (64, 48)
FRACTION = 0.5


def photograph(
    size: tuple[int, int] = SIZE, image_format: str = "JPEG", color: Any = (90, 140, 220), **how: Any
) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, color).save(stream, image_format, **how)
    return stream.getvalue()


def half_cloud(size: tuple[int, int] = SIZE) -> bytes:
    """A mask whose right half is cloud."""
    classes = np.zeros((size[1], size[0]), np.uint8)
    classes[:, size[0] // 2 :] = 1
    return encode_mask(classes, 1)


def put_photograph(store: Store, buckets: Buckets, name: str, data: bytes | None = None) -> InputObject:
    return put_input(store, buckets.input, name, photograph() if data is None else data)


def provenance_of(buckets: Buckets, version: InputObject) -> MaskProvenance:
    return provenance(source(buckets, version))


def source(buckets: Buckets, version: InputObject) -> Source:
    return Source(buckets.input, version.name, version.generation, version.crc32c)


def put_mask(store: Store, buckets: Buckets, version: InputObject, data: bytes | None = None) -> ObjectInfo:
    return store.write(
        GcsUri(buckets.output, mask_name(version.name)),
        half_cloud() if data is None else data,
        content_type="image/png",
        metadata=provenance_of(buckets, version).to_metadata(),
    )


def archive(store: Store, buckets: Buckets, version: InputObject) -> None:
    uri = GcsUri(buckets.input, version.name)
    target = GcsUri(buckets.output, archive_name(version.name))
    store.copy(uri, version.generation, target, metadata=source(buckets, version).to_metadata())


def quarantine(store: Store, buckets: Buckets, version: InputObject, reason: str) -> None:
    uri = GcsUri(buckets.input, version.name)
    target = GcsUri(buckets.output, quarantine_name(version.name))
    metadata = quarantine_metadata(source(buckets, version), reason, "test-run")
    store.copy(uri, version.generation, target, metadata=metadata)


def delete(store: Store, buckets: Buckets, version: InputObject) -> None:
    store.delete_many(buckets.input, [(version.name, version.generation)])


def done(version: InputObject, fraction: float = FRACTION, outcome: Outcome = Outcome.DONE) -> Result:
    return Result(version, outcome, mask_name(version.name), fraction, seconds=0.1)


def made_up(name: str, fraction: float = FRACTION) -> Result:
    return done(InputObject(name, 7, 1000, "AAAAAA=="), fraction)


def failed(version: InputObject, outcome: Outcome, reason: str) -> Result:
    return Result(version, outcome, reason=reason)


def write_plan(store: Store, layout: RunLayout, *objects: int) -> None:
    chunks = [
        {"index": index, "uri": str(layout.chunk(index)), "objects": count, "bytes": 1000 * count}
        for index, count in enumerate(objects)
    ]
    store.write(layout.plan, json.dumps(chunks).encode())


def write_results(
    store: Store, layout: RunLayout, chunk: int, results: Sequence[Result | bytes], *, complete: bool = True
) -> None:
    lines = [result if isinstance(result, bytes) else result.to_line().encode() for result in results]
    store.write(
        layout.results(chunk),
        b"".join(line + b"\n" for line in lines),
        metadata=ChunkSummary(100.0, 110.0, len(lines), complete).to_metadata(),
    )
