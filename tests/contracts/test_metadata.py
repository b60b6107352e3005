from dataclasses import dataclass
from typing import Annotated, ClassVar

import pytest

from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.contracts.metadata import Decimals, MetadataRecord
from cloudseg_ops.contracts.provenance import MaskProvenance, Source
from cloudseg_ops.contracts.results import ChunkSummary

SOURCE = Source("in", "ä/b.jpg", 1_788_000_000_000_001, "AAAAAA==")


@dataclass(frozen=True, slots=True)
class _Inner(MetadataRecord):
    key_prefix: ClassVar[str] = "inner-"

    long_name: str


@dataclass(frozen=True, slots=True)
class _Outer(MetadataRecord):
    inner: _Inner
    count: int
    share: Annotated[float, Decimals(2)]
    whole: bool
    note: str | None = None


RECORD = _Outer(_Inner("x"), 3, 0.125, whole=True, note="n")
METADATA = {
    "cloudseg-inner-long-name": "x",
    "cloudseg-count": "3",
    "cloudseg-share": "0.12",
    "cloudseg-whole": "true",
    "cloudseg-note": "n",
}


def test_every_field_type_round_trips() -> None:
    assert RECORD.to_metadata() == METADATA
    assert _Outer.from_metadata(METADATA) == _Outer(_Inner("x"), 3, 0.12, whole=True, note="n")


def test_none_is_written_as_a_missing_key() -> None:
    metadata = _Outer(_Inner("x"), 3, 0.5, whole=False).to_metadata()
    assert "cloudseg-note" not in metadata
    read = _Outer.from_metadata(metadata)
    assert read is not None
    assert (read.note, read.whole) == (None, False)


def test_other_keys_are_ignored() -> None:
    assert _Outer.from_metadata({**METADATA, "cloudseg-color": "red", "owner": "x"}) is not None


@pytest.mark.parametrize("missing", [key for key in METADATA if key != "cloudseg-note"])
def test_record_with_a_missing_key_is_ignored(missing: str) -> None:
    assert _Outer.from_metadata({key: value for key, value in METADATA.items() if key != missing}) is None


@pytest.mark.parametrize(("key", "value"), [("count", "1.0"), ("count", ""), ("share", "much")])
def test_record_with_a_damaged_value_is_ignored(key: str, value: str) -> None:
    assert _Outer.from_metadata({**METADATA, f"cloudseg-{key}": value}) is None


@pytest.mark.parametrize(
    ("record", "metadata"),
    [
        (
            ChunkSummary(1_788_000_000.1254, 2.0, 500, complete=True, asked=0.0),
            {
                "cloudseg-started": "1788000000.125",
                "cloudseg-finished": "2.000",
                "cloudseg-images": "500",
                "cloudseg-complete": "true",
                "cloudseg-asked": "0.000",
            },
        ),
        (
            ChunkStatus(1, 2, 3.00049, ended=False),
            {
                "cloudseg-done": "1",
                "cloudseg-total": "2",
                "cloudseg-images-per-second": "3.000",
                "cloudseg-ended": "false",
            },
        ),
        (
            MaskProvenance(SOURCE, "v1", "c", "m", "d", 0.12345678, "run", "1.2.3"),
            {
                "cloudseg-source-bucket": "in",
                "cloudseg-source-name": "ä/b.jpg",
                "cloudseg-source-generation": "1788000000000001",
                "cloudseg-source-crc32c": "AAAAAA==",
                "cloudseg-model-revision": "v1",
                "cloudseg-model-commit": "c",
                "cloudseg-model-md5": "m",
                "cloudseg-model-digest": "d",
                "cloudseg-cloud-fraction": "0.123457",
                "cloudseg-run-id": "run",
                "cloudseg-version": "1.2.3",
            },
        ),
    ],
)
def test_metadata_format_is_stable(record: MetadataRecord, metadata: dict[str, str]) -> None:
    """Recorded metadata: objects of earlier versions must stay readable."""
    assert record.to_metadata() == metadata
    assert type(record).from_metadata({**metadata, "owner": "someone"}) is not None
