"""Input versions and their proofs: as descriptions for pure functions, and as objects in the emulator."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.provenance import MaskProvenance, Source, mask_name, quarantine_metadata, quarantine_name
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import ObjectInfo, Store

DIGEST = "900150983cd24fb0d6963f7d28e17f72"
OTHER_DIGEST = "f96b697d7cb7938d525a2f31aaf161d0"
WHEN = datetime(2026, 8, 26, 3, 0, tzinfo=UTC)


def version(name: str = "a.jpg", generation: int = 7, size: int = 1000, crc32c: str = "AAAAAA==") -> InputObject:
    return InputObject(name, generation, size, crc32c)


def described(
    name: str = "a.jpg",
    generation: int = 7,
    size: int = 1000,
    crc32c: str = "AAAAAA==",
    *,
    metadata: Mapping[str, str] | None = None,
    bucket: str = "in",
) -> ObjectInfo:
    return ObjectInfo(bucket, name, generation, size, crc32c, "", WHEN, metadata or {})


def source_of(item: InputObject, bucket: str = "in") -> Source:
    return Source(bucket, item.name, item.generation, item.crc32c)


def provenance(source: Source, digest: str = DIGEST, run_id: str = "test-run") -> MaskProvenance:
    return MaskProvenance(
        source, "v1", "0123456789abcdef0123456789abcdef01234567", "0" * 32, digest, 0.25, run_id, "0.1.0"
    )


def mask_of(source: Source, digest: str = DIGEST, size: int = 50) -> ObjectInfo:
    """Return the description of a mask."""
    return described(
        mask_name(source.name), 99, size, "BBBBBB==", metadata=provenance(source, digest).to_metadata(), bucket="out"
    )


def copy_of(source: Source, size: int = 1000) -> ObjectInfo:
    """Return the description of a quarantine copy."""
    metadata = quarantine_metadata(source, "no image", "test-run")
    return described(quarantine_name(source.name), 98, size, source.crc32c, metadata=metadata, bucket="out")


def put_input(store: Store, bucket: str, name: str, data: bytes = b"photograph") -> InputObject:
    found = store.write(GcsUri(bucket, name), data)
    return InputObject(found.name, found.generation, found.size, found.crc32c)


def put_inputs(store: Store, bucket: str, names: Iterable[str]) -> list[InputObject]:
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda name: put_input(store, bucket, name), names))


def put_mask(
    store: Store,
    output: str,
    source: Source,
    *,
    digest: str = DIGEST,
    data: bytes = b"mask",
    run_id: str = "test-run",
) -> None:
    metadata = provenance(source, digest, run_id).to_metadata()
    store.write(GcsUri(output, mask_name(source.name)), data, content_type="image/png", metadata=metadata)


def put_masks(store: Store, output: str, sources: Iterable[Source]) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda source: put_mask(store, output, source), sources))


def put_copy(store: Store, output: str, source: Source, data: bytes = b"photograph", run_id: str = "test-run") -> None:
    """Write a quarantine copy."""
    store.write(
        GcsUri(output, quarantine_name(source.name)), data, metadata=quarantine_metadata(source, "no image", run_id)
    )


def put_snapshot(store: Store, layout: RunLayout, versions: Iterable[InputObject]) -> None:
    store.write_lines(layout.snapshot, (item.to_line() for item in versions))


def names_in(store: Store, bucket: str, prefix: str = "") -> list[str]:
    return [info.name for info in store.list_objects(GcsUri(bucket, prefix))]
