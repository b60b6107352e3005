"""Clean-up of inputs that cannot be deleted: each is counted and named, and all others are cleaned up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from cloudseg_ops.contracts.errors import DeletesRefusedError, InputsNotDeletedError, StorageError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import AfterSuccess
from cloudseg_ops.runs.cleanup import clean_inputs
from cloudseg_ops.runs.cleanup_result import CleanUp
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, Fault
from tests.conftest import Buckets
from tests.support.samples import DIGEST, names_in


@pytest.fixture
def protect(emulator: Emulator) -> Iterator[Callable[[str, str], None]]:
    """Make deletes of an object in INPUT fail: by a hold (`held`), or by a missing permission (`forbidden`)."""
    held = []

    def call(bucket: str, name: str, how: str = "held") -> None:
        if how == "forbidden":
            emulator.faults.add(Fault(status=403, method="DELETE", path=f"/b/{bucket}/o/{name}"))
            return
        blob = emulator.client().bucket(bucket).blob(name)
        blob.temporary_hold = True
        blob.patch()
        held.append(blob)

    yield call
    for blob in held:
        blob.temporary_hold = False
        blob.patch()


@dataclass
class Cleaner:
    """Clean-up with a page size of two, over the buckets of a test."""

    store: Store
    buckets: Buckets
    masked: Callable[[str], InputObject]

    @property
    def bucket(self) -> str:
        return self.buckets.input

    def clean_up(self, inputs: list[InputObject], after_success: AfterSuccess = "delete") -> CleanUp:
        return clean_inputs(
            self.store,
            inputs,
            input_bucket=self.buckets.input,
            output_bucket=self.buckets.output,
            model_digest=DIGEST,
            after_success=after_success,
        )

    def left(self) -> list[str]:
        return names_in(self.store, self.buckets.input)


@pytest.fixture
def cleaner(
    store: Store, buckets: Buckets, masked: Callable[[str], InputObject], monkeypatch: pytest.MonkeyPatch
) -> Cleaner:
    monkeypatch.setattr("cloudseg_ops.runs.snapshots.PAGE_SIZE", 2)
    return Cleaner(store, buckets, masked)


def _some(result: CleanUp) -> dict[str, int]:
    return {outcome: count for outcome, count in result.counts.items() if count}


@pytest.mark.parametrize(("after_success", "done"), [("delete", "deleted"), ("archive", "archived")])
def test_held_and_forbidden_inputs_leave_the_others_alone(
    cleaner: Cleaner, protect: Callable[..., None], after_success: AfterSuccess, done: str
) -> None:
    masked, clean_up = cleaner.masked, cleaner.clean_up
    versions = [masked(name) for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg", "g.jpg")]
    for name, how in (("a.jpg", "held"), ("c.jpg", "held"), ("e.jpg", "forbidden")):
        protect(cleaner.bucket, name, how)
    result = clean_up(versions, after_success)
    assert _some(result) == {done: 4, "held": 2, "forbidden": 1}
    assert cleaner.left() == ["a.jpg", "c.jpg", "e.jpg"]
    assert result.refused == 3
    assert result.not_deleted["held"].names == ("a.jpg", "c.jpg")
    with pytest.raises(DeletesRefusedError) as raised:
        result.check()
    message = str(raised.value)
    assert message.startswith("3 proven inputs could not be deleted or archived: 2 under a hold (a.jpg, c.jpg: Object")
    assert "1 forbidden (e.jpg: " in message
    assert CleanUp.from_json(result.to_json()) == result


def test_repeated_after_the_hold_is_released_it_deletes_the_rest(emulator: Emulator, cleaner: Cleaner) -> None:
    versions = [cleaner.masked("a.jpg"), cleaner.masked("b.jpg")]
    blob = emulator.client().bucket(cleaner.bucket).blob("a.jpg")
    for held, counts in ((True, {"deleted": 1, "held": 1}), (False, {"deleted": 1, "gone": 1})):
        blob.temporary_hold = held
        blob.patch()
        assert _some(cleaner.clean_up(versions)) == counts


def test_input_whose_archive_copy_is_refused_is_not_deleted(emulator: Emulator, cleaner: Cleaner) -> None:
    versions = [cleaner.masked("a.jpg"), cleaner.masked("b.jpg")]
    emulator.faults.add(Fault(status=403, method="POST", path="/o/a.jpg/rewriteTo/"))
    assert _some(cleaner.clean_up(versions, "archive")) == {"archived": 1, "forbidden": 1}
    assert cleaner.left() == ["a.jpg"]


@pytest.mark.usefixtures("short_retries")
def test_transient_failures_are_left_to_a_retry(emulator: Emulator, cleaner: Cleaner) -> None:
    versions = [cleaner.masked("a.jpg"), cleaner.masked("b.jpg")]
    emulator.faults.add(Fault(status=503, method="DELETE", path=f"/b/{cleaner.bucket}/o/a.jpg", times=1000))
    result = cleaner.clean_up(versions)
    assert _some(result) == {"deleted": 1, "failed": 1}
    with pytest.raises(InputsNotDeletedError) as raised:
        result.check()
    assert not isinstance(raised.value, DeletesRefusedError)


@pytest.mark.usefixtures("short_retries")
def test_it_gives_up_when_storage_fails_for_more_than_a_hundred(
    emulator: Emulator, cleaner: Cleaner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudseg_ops.runs.cleanup._MOST_FAILED", 2)
    versions = [cleaner.masked(f"{number}.jpg") for number in range(3)]
    emulator.faults.add(Fault(status=503, method="DELETE", path=f"/b/{cleaner.bucket}/o/", times=10_000))
    with pytest.raises(StorageError, match=r"3 deletes or copies failed, the last ones with 503 .*try again later"):
        cleaner.clean_up(versions)


def test_a_clean_up_without_refusals_passes(cleaner: Cleaner) -> None:
    result = cleaner.clean_up([cleaner.masked("a.jpg")])
    result.check()
    assert (result.refused, result.describe()) == (0, "")
