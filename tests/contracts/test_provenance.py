import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.contracts.objects import is_image_name
from cloudseg_ops.contracts.provenance import (
    ARCHIVE_FOLDER,
    QUARANTINE_FOLDER,
    REPORTS_FOLDER,
    MaskProvenance,
    Source,
    archive_name,
    mask_name,
    quarantine_metadata,
    quarantine_name,
    quarantine_reason,
)
from tests.support.samples import provenance

SOURCE = Source("in", "a/b.jpg", 1_788_000_000_000_001, "AAAAAA==")
# cloud.google.com/storage/quotas#objects: keys and values of an object's custom metadata together.
_MAX_METADATA = 8 * 1024


def _bytes(metadata: dict[str, str]) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())


def test_object_names_in_output() -> None:
    assert mask_name("a/b.jpg") == "a/b.jpg.mask.png"
    assert quarantine_name("a/b.jpg") == "quarantine/a/b.jpg"
    assert archive_name("a/b.jpg") == "archive/a/b.jpg"


names = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=30).filter(
    lambda name: is_image_name(name + ".jpg")
)


@given(st.lists(names.map(lambda name: name + ".jpg"), min_size=2, max_size=5, unique=True))
def test_object_names_in_output_are_unique(inputs: list[str]) -> None:
    # Photographs may be in folders with the same names as those of OUTPUT.
    inputs += [folder + name for name in inputs for folder in (QUARANTINE_FOLDER, ARCHIVE_FOLDER, REPORTS_FOLDER)]
    made = [
        made
        for name in set(inputs)
        for made in (mask_name(name), "Q" + quarantine_name(name), "A" + archive_name(name))
    ]
    assert len(set(made)) == len(made)
    masks = {mask_name(name) for name in inputs}
    assert not masks & {copy(name) for name in inputs for copy in (quarantine_name, archive_name)}


sources = st.builds(Source, st.text(), st.text(), st.integers(0, 2**63 - 1), st.text())
texts = st.text()


@given(st.builds(MaskProvenance, sources, texts, texts, texts, texts, st.floats(0, 1), texts, texts))
def test_mask_provenance_round_trip(written: MaskProvenance) -> None:
    metadata = written.to_metadata()
    assert all(key.startswith("cloudseg-") and isinstance(value, str) for key, value in metadata.items())
    read = MaskProvenance.from_metadata(json.loads(json.dumps(metadata)))
    assert read is not None
    assert read.source == written.source
    assert read.cloud_fraction == pytest.approx(written.cloud_fraction, abs=1e-6)
    assert read.to_metadata() == metadata


@pytest.mark.parametrize("missing", sorted(provenance(SOURCE).to_metadata()))
def test_mask_without_a_key_has_no_provenance(missing: str) -> None:
    metadata = provenance(SOURCE).to_metadata()
    del metadata[missing]
    assert MaskProvenance.from_metadata(metadata) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("cloudseg-source-generation", "x"), ("cloudseg-source-generation", ""), ("cloudseg-cloud-fraction", "much")],
)
def test_mask_with_a_damaged_value_has_no_provenance(key: str, value: str) -> None:
    assert MaskProvenance.from_metadata(provenance(SOURCE).to_metadata() | {key: value}) is None


def test_foreign_metadata_is_ignored() -> None:
    assert Source.from_metadata({}) is None
    assert Source.from_metadata({"owner": "someone"}) is None
    assert quarantine_reason({"reason": "no prefix"}) is None


def test_quarantined_copy_names_its_source_and_reason() -> None:
    metadata = quarantine_metadata(SOURCE, "truncated JPEG", "r1")
    assert Source.from_metadata(metadata) == SOURCE
    assert quarantine_reason(metadata) == "truncated JPEG"
    assert MaskProvenance.from_metadata(metadata) is None


def test_longest_metadata_fits_into_an_object() -> None:
    # Names have up to 1,024 bytes, buckets 222, and Airflow's run ids 250 characters.
    source = Source("b" * 222, "\U0001f324" * 256, 2**63 - 1, "AAAAAA==")
    assert _bytes(quarantine_metadata(source, "\U0001f324" * 5000, "r" * 250)) <= _MAX_METADATA
    written = MaskProvenance(source, "v" * 200, "0" * 40, "0" * 32, "0" * 32, 1.0, "r" * 250, "10.10.10")
    assert _bytes(written.to_metadata()) <= _MAX_METADATA
