"""A chunk whose storage, model or chunk file fails, or that is stopped."""

import re

import pytest

from cloudseg_ops.contracts.errors import ChunkUnfinishedError, CorruptModelError, ManifestError, ObjectNotFoundError
from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.chunk import run_chunk
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.storage import Store
from gcs_emulator import Fault, FaultPlan
from tests.support.lab import Lab, run


def test_storage_error_leaves_one_image_unaccounted(lab: Lab, faults: FaultPlan) -> None:
    sources = lab.put_many(6)
    lab.write_chunk(sources)
    faults.add(Fault(status=501, method="GET", path=r"/o/sky/003\.png", times=100))
    with pytest.raises(ChunkUnfinishedError, match=r"1 of 6 images unaccounted .*sky/003\.png: StorageError"):
        run(lab)
    assert set(lab.outcomes()) == {source.name for source in sources} - {"sky/003.png"}
    assert not lab.summary().complete
    assert lab.summary().images == 6
    faults.clear()
    assert run(lab).complete
    assert lab.outcomes()["sky/003.png"] == "done"
    assert lab.outcomes()["sky/000.png"] == "skipped"


def test_failed_upload_is_repeated_by_the_next_try(lab: Lab, faults: FaultPlan) -> None:
    lab.write_chunk(lab.put_many(4))
    faults.add(Fault(status=403, method="POST", path=f"/b/{lab.buckets.output}/o"))
    with pytest.raises(ChunkUnfinishedError, match="1 of 4"):
        run(lab)
    assert run(lab).complete


def test_transient_faults_are_retried(lab: Lab, faults: FaultPlan) -> None:
    lab.write_chunk(lab.put_many(6))
    faults.add(Fault(status=503, method="GET", path=r"/o/sky/00[0-2]", times=2))
    faults.add(Fault(action="cut_after", method="POST", path=f"/b/{lab.buckets.output}/o", times=2))
    assert run(lab).complete
    assert set(lab.outcomes().values()) == {"done"}


def test_a_model_with_another_checksum_segments_nothing(lab: Lab) -> None:
    lab.write_chunk(lab.put_many(2))
    lab.store.write(GcsUri.parse(lab.ref.uri), b"other weights")
    with pytest.raises(CorruptModelError):
        run(lab)
    assert lab.mask_info("sky/000.png") is None
    assert not lab.summary().complete


def test_a_failure_while_writing_results_does_not_hide_the_first_one(
    lab: Lab, faults: FaultPlan, caplog: pytest.LogCaptureFixture
) -> None:
    lab.write_chunk(lab.put_many(2))
    lab.store.write(GcsUri.parse(lab.ref.uri), b"other weights")
    faults.add(Fault(status=403, method="POST", path=f"/b/{lab.buckets.staging}/o", times=10))
    with pytest.raises(CorruptModelError):
        run(lab)
    assert "results so far could not be written" in caplog.text


def test_a_failed_preview_does_not_fail_the_chunk(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.set(previews=GcsUri("no-such-place", "previews"))
    lab.write_chunk(lab.put_many(2))
    assert run(lab).complete
    assert "no preview of sky/" in caplog.text


def test_missing_or_invalid_chunk_file_raises(lab: Lab) -> None:
    with pytest.raises(ObjectNotFoundError):
        run(lab)
    lab.store.write(lab.options.chunk, b"not a line\n")
    with pytest.raises(ManifestError):
        run(lab)


def test_stop_keeps_the_results_so_far(lab: Lab) -> None:
    lab.write_chunk(lab.put_many(60))
    stop = Stop()
    seen = lab.store.write

    class Stopping(Store):
        """Requests the stop when the tenth mask is written."""

        count = 0

        def write(self, uri: GcsUri, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            type(self).count += uri.bucket == lab.buckets.output
            if self.count == 10:
                stop.request()
            return seen(uri, *args, **kwargs)  # type: ignore[arg-type]

    with pytest.raises(ChunkUnfinishedError, match="stopped on request"):
        run_chunk(lab.options, Stopping(lab.store._client), stop)
    outcomes = lab.outcomes()
    assert 10 <= len(outcomes) < 60
    assert set(outcomes.values()) == {Outcome.DONE}
    assert not lab.summary().complete
    listed = {re.sub(r"\.mask\.png$", "", info.name) for info in lab.store.list_objects(GcsUri(lab.buckets.output))}
    assert listed == set(outcomes)
    assert run(lab).complete
