import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cloudseg_ops import __version__
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Evidence
from cloudseg_ops.contracts.provenance import MaskProvenance, Source, mask_name, quarantine_name
from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.io.proofs import Proofs
from cloudseg_ops.engine.io.publish import Publisher
from cloudseg_ops.storage import ObjectInfo, Store
from gcs_emulator import Fault, FaultPlan
from tests.conftest import Buckets

NAME = "a/b.jpg"
OLD = InputObject(NAME, 1000, 1, "AAAAAA==")
NEW = InputObject(NAME, 2000, 1, "AAAAAA==")


class Writer:
    """An engine's publisher for one model."""

    def __init__(self, store: Store, buckets: Buckets, digest: str = "model-1") -> None:
        self.store = store
        self.buckets = buckets
        self.digest = digest
        self.proofs = Proofs(store, buckets.input, buckets.output, digest)
        self.publisher = Publisher(store, buckets.input, buckets.output, self.proofs)

    def look(self) -> ObjectInfo | None:
        return self.store.stat(GcsUri(self.buckets.output, mask_name(NAME)))

    def write(self, source: InputObject, present: ObjectInfo | None = None, png: bytes = b"mask") -> str:
        provenance = MaskProvenance(
            Source(self.buckets.input, source.name, source.generation, source.crc32c),
            *("v1", "c" * 40, "md5", self.digest, 0.25, "run-1", __version__),
        )
        return str(self.publisher.write_mask(source, png, provenance, present).outcome)

    def stored_version(self) -> tuple[int, str]:
        info = self.look()
        provenance = MaskProvenance.from_metadata(info.metadata) if info else None
        assert provenance
        return provenance.source.generation, provenance.model_digest


@pytest.fixture
def writer(store: Store, buckets: Buckets) -> Writer:
    return Writer(store, buckets)


def test_mask_metadata_has_its_provenance(writer: Writer) -> None:
    assert writer.write(OLD) == Outcome.DONE
    info = writer.look()
    assert info
    assert dict(info.metadata) == {
        "cloudseg-source-bucket": writer.buckets.input,
        "cloudseg-source-name": NAME,
        "cloudseg-source-generation": "1000",
        "cloudseg-source-crc32c": "AAAAAA==",
        "cloudseg-model-revision": "v1",
        "cloudseg-model-commit": "c" * 40,
        "cloudseg-model-md5": "md5",
        "cloudseg-model-digest": "model-1",
        "cloudseg-cloud-fraction": "0.250000",
        "cloudseg-run-id": "run-1",
        "cloudseg-version": __version__,
    }


def test_stale_writer_never_overwrites_a_newer_mask(writer: Writer) -> None:
    assert writer.write(NEW) == Outcome.DONE
    assert writer.write(OLD, present=None) == Outcome.CHANGED
    assert writer.stored_version() == (2000, "model-1")


def test_stale_writer_that_saw_an_older_mask_keeps_the_newer_one(writer: Writer) -> None:
    oldest = InputObject(NAME, 1, 1, "AAAAAA==")
    writer.write(oldest)
    seen = writer.look()
    assert writer.write(NEW, seen) == Outcome.DONE
    assert writer.write(OLD, seen) == Outcome.CHANGED
    assert writer.stored_version() == (2000, "model-1")


def test_newer_version_overwrites_the_mask_of_an_older_one(writer: Writer) -> None:
    writer.write(OLD)
    assert writer.write(NEW, present=None) == Outcome.DONE
    assert writer.stored_version() == (2000, "model-1")


def test_mask_deleted_in_between_is_written_again(writer: Writer) -> None:
    writer.write(OLD)
    seen = writer.look()
    assert seen
    writer.store.delete_many(writer.buckets.output, [(seen.name, seen.generation)])
    assert writer.write(NEW, seen) == Outcome.DONE


def test_same_mask_by_another_engine_counts_as_done(writer: Writer) -> None:
    writer.write(OLD, png=b"first")
    first = writer.look()
    assert writer.write(OLD, present=None, png=b"second") == Outcome.DONE
    second = writer.look()
    assert first
    assert second
    assert second.generation == first.generation


def test_retried_upload_of_the_same_mask_counts_as_done(writer: Writer, faults: FaultPlan) -> None:
    # The first attempt arrives, but its response does not: the client's retry finds the mask that it wrote.
    faults.add(Fault(action="cut_after", method="POST", path=f"/b/{writer.buckets.output}/o"))
    assert writer.write(OLD) == Outcome.DONE
    assert not faults.pending()
    assert writer.stored_version() == (1000, "model-1")


def test_mask_of_another_model_is_overwritten(writer: Writer) -> None:
    other = Writer(writer.store, writer.buckets, "model-2")
    writer.write(OLD)
    assert other.write(OLD, present=None) == Outcome.DONE
    assert other.stored_version() == (1000, "model-2")


def test_concurrent_writers_leave_the_newest_version(writer: Writer) -> None:
    sources = [InputObject(NAME, generation, 1, "AAAAAA==") for generation in range(1, 9)]
    together = threading.Barrier(len(sources))

    def race(source: InputObject) -> str:
        together.wait()
        return writer.write(source)

    with ThreadPoolExecutor(len(sources)) as pool:
        outcomes = list(pool.map(race, sources))
    assert outcomes[-1] == Outcome.DONE
    assert set(outcomes) <= {Outcome.DONE, Outcome.CHANGED}
    assert writer.stored_version() == (8, "model-1")


def put(writer: Writer, data: bytes = b"broken") -> InputObject:
    info = writer.store.write(GcsUri(writer.buckets.input, NAME), data)
    return InputObject(info.name, info.generation, info.size, info.crc32c)


def quarantined(writer: Writer) -> ObjectInfo | None:
    return writer.store.stat(GcsUri(writer.buckets.output, quarantine_name(NAME)))


def test_a_quarantine_copy_holds_the_bytes_and_the_reason(writer: Writer) -> None:
    source = put(writer)
    result = writer.publisher.quarantine(source, "no image", "run-1", None)
    assert (result.outcome, result.reason) == (Outcome.QUARANTINED, "no image")
    info = quarantined(writer)
    assert info
    assert writer.store.read(GcsUri(info.bucket, info.name)) == b"broken"
    assert info.metadata["cloudseg-reason"] == "no image"
    assert info.metadata["cloudseg-source-generation"] == str(source.generation)
    assert writer.proofs.judge(source, Evidence(None, None, info)) == result


def test_changed_or_deleted_version_is_not_quarantined(writer: Writer) -> None:
    old = put(writer)
    new = put(writer, b"newer")
    assert writer.publisher.quarantine(old, "no image", "run-1", None).outcome == Outcome.CHANGED
    writer.store.delete_many(writer.buckets.input, [(NAME, new.generation)])
    assert writer.publisher.quarantine(old, "no image", "run-1", None).outcome == Outcome.VANISHED
    assert quarantined(writer) is None


def test_repeated_quarantine_keeps_the_first_copy(writer: Writer) -> None:
    source = put(writer)
    writer.publisher.quarantine(source, "no image", "run-1", None)
    first = quarantined(writer)
    again = writer.publisher.quarantine(source, "another reason", "run-2", None)
    second = quarantined(writer)
    assert first
    assert second
    assert (again.outcome, again.reason) == (Outcome.QUARANTINED, "no image")
    assert second.generation == first.generation


def test_an_older_quarantine_copy_is_replaced(writer: Writer) -> None:
    writer.publisher.quarantine(put(writer), "no image", "run-1", None)
    source = put(writer, b"broken again")
    assert writer.publisher.quarantine(source, "worse", "run-2", None).outcome == Outcome.QUARANTINED
    info = quarantined(writer)
    assert info
    assert info.metadata["cloudseg-source-generation"] == str(source.generation)


def test_deleted_input_with_a_mask_counts_as_skipped(writer: Writer) -> None:
    source = put(writer)
    writer.write(source)
    writer.store.delete_many(writer.buckets.input, [(NAME, source.generation)])
    assert writer.publisher.account_for_loss(source).outcome == Outcome.SKIPPED


def test_a_mask_of_another_bucket_proves_nothing(writer: Writer) -> None:
    writer.write(OLD)
    elsewhere = Proofs(writer.store, "other-photographs", writer.buckets.output, "model-1")
    assert elsewhere.judge(OLD, Evidence(None, writer.look(), None)) is None
    assert elsewhere.judge(InputObject(NAME, 1, 1, ""), Evidence(None, writer.look(), None)) is None


def test_older_version_counts_as_changed_if_a_newer_mask_exists(writer: Writer) -> None:
    writer.write(NEW)
    (evidence,) = writer.proofs.look_up([OLD])
    result = writer.proofs.judge(OLD, evidence)
    assert result
    assert result.outcome == Outcome.CHANGED


def test_empty_mask_is_not_a_proof_for_the_engine(writer: Writer) -> None:
    """Otherwise the engine would skip its input, and clean-up would never delete it."""
    writer.write(OLD)
    full = writer.look()
    assert full is not None
    assert writer.proofs.judge(OLD, Evidence(None, full, None)) is not None
    assert writer.proofs.judge(OLD, Evidence(None, replace(full, size=0), None)) is None
