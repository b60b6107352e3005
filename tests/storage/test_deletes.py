"""Batches of deletes, each of which has its own outcome."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import pytest
import requests
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from cloudseg_ops.contracts.errors import ObjectHeldError, ObjectRetainedError, PermissionDeniedError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import BATCH_SIZE, Deletion, Pace, Pacer, Store
from cloudseg_ops.storage._batches import CallResponse
from gcs_emulator import Emulator, Fault
from tests.conftest import Buckets
from tests.storage.conftest import Counter
from tests.support.samples import names_in, put_inputs


def test_outcomes_are_returned_in_order(store: Store, buckets: Buckets) -> None:
    put = {info.name: info for info in put_inputs(store, buckets.input, ["a", "b", "c", "Größe #1?.jpg"])}
    replaced = store.write(GcsUri(buckets.input, "b"), b"newer")
    versions = [("c", put["c"].generation), ("gone", 7), ("b", put["b"].generation),
                ("Größe #1?.jpg", put["Größe #1?.jpg"].generation)]  # fmt: skip
    assert store.delete_many(buckets.input, versions) == [
        Deletion.DELETED, Deletion.GONE, Deletion.CHANGED, Deletion.DELETED,
    ]  # fmt: skip
    assert names_in(store, buckets.input) == ["a", "b"]
    assert store.read(GcsUri(buckets.input, "b"), generation=replaced.generation) == b"newer"


def test_no_deletes_make_no_request(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    calls = Counter(emulator)
    assert store.delete_many(buckets.input, []) == []
    assert calls["batch"] == 0


def test_at_most_a_hundred_deletes_per_request(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    versions = [(info.name, info.generation) for info in put_inputs(store, buckets.input, map(str, range(250)))]
    calls = Counter(emulator)
    assert store.delete_many(buckets.input, iter(versions)) == [Deletion.DELETED] * 250
    assert (calls["batch"], calls["objects.delete"]) == (3, 250)
    assert BATCH_SIZE == 100


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_deletes_with_transient_errors_are_retried(
    store: Store, buckets: Buckets, emulator: Emulator, status: int
) -> None:
    put = put_inputs(store, buckets.input, [f"{number:02d}" for number in range(20)])
    put_inputs(store, buckets.input, ["07"])
    emulator.faults.add(Fault(status=status, method="DELETE", path=f"/b/{buckets.input}/o/", times=8))
    outcomes = store.delete_many(buckets.input, [(info.name, info.generation) for info in put])
    assert outcomes == [Deletion.CHANGED if info.name == "07" else Deletion.DELETED for info in put]
    assert names_in(store, buckets.input) == ["07"]


def test_a_batch_with_a_transient_error_is_retried(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    put = put_inputs(store, buckets.input, ["a", "b"])
    emulator.faults.add(Fault(status=503, method="POST", path="/batch", times=2))
    outcomes = store.delete_many(buckets.input, [(info.name, info.generation) for info in put])
    assert outcomes == [Deletion.DELETED, Deletion.DELETED]


@pytest.mark.parametrize(("action", "outcome"), [("cut_before", Deletion.DELETED), ("cut_after", Deletion.GONE)])
def test_a_batch_whose_connection_breaks_is_retried(
    store: Store, buckets: Buckets, emulator: Emulator, action: Any, outcome: Deletion
) -> None:
    put = put_inputs(store, buckets.input, ["a", "b"])
    emulator.faults.add(Fault(action=action, method="POST", path="/batch"))
    outcomes = store.delete_many(buckets.input, [(info.name, info.generation) for info in put])
    assert outcomes == [outcome, outcome]
    assert names_in(store, buckets.input) == []


def test_a_newer_upload_survives_a_retried_batch(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    (old,) = put_inputs(store, buckets.input, ["a"])
    emulator.faults.add(Fault(action="cut_after", method="POST", path="/batch"))
    uploads = iter([True])
    send = store._client._http.request

    def request(*arguments: Any, **options: Any) -> Any:
        try:
            return send(*arguments, **options)
        except requests.ConnectionError:
            # Between the first request, which has deleted the object, and its retry.
            if next(uploads, False):
                Store(emulator.client()).write(GcsUri(buckets.input, "a"), b"newer")
            raise

    store._client._http.request = request
    assert store.delete_many(buckets.input, [("a", old.generation)]) == [Deletion.CHANGED]
    assert store.read(GcsUri(buckets.input, "a")) == b"newer"


def test_a_refused_delete_raises(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    put = put_inputs(store, buckets.input, ["a", "b", "c"])
    emulator.faults.add(Fault(status=403, method="DELETE", path="/o/b"))
    with pytest.raises(PermissionDeniedError, match=f"delete 3 objects of gs://{buckets.input}: refused .*roles"):
        store.delete_many(buckets.input, [(info.name, info.generation) for info in put])
    assert "b" in names_in(store, buckets.input)


def _held_to(emulator: Emulator, pace: Pace, slept: list[float]) -> Store:
    """A store whose clock stands still, and which records how long it would have waited."""
    return Store(emulator.client(), pacer=lambda: Pacer(pace, clock=lambda: 0.0, sleep=slept.append))


def test_deletes_wait_for_the_rate_limit(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    put = put_inputs(store, buckets.input, [f"{number:03d}" for number in range(350)])
    slept: list[float] = []
    outcomes = _held_to(emulator, Pace(), slept).delete_many(
        buckets.input, [(info.name, info.generation) for info in put]
    )
    assert outcomes == [Deletion.DELETED] * 350
    # The order of threads is undefined; the batch of fifty may be among the first.
    assert len(slept) == 3
    assert max(slept) == pytest.approx(0.3, abs=0.051)


def test_transient_errors_lower_the_rate_and_retries_wait_for_it(
    store: Store, buckets: Buckets, emulator: Emulator
) -> None:
    put = put_inputs(store, buckets.input, ["a", "b", "c"])
    pace, slept = Pace(), list[float]()
    emulator.faults.add(Fault(status=429, method="DELETE", path="/o/b"))
    outcomes = _held_to(emulator, pace, slept).delete_many(
        buckets.input, [(info.name, info.generation) for info in put]
    )
    assert outcomes == [Deletion.DELETED] * 3
    assert pace.rate == pytest.approx(500, rel=0.01)
    assert slept == [pytest.approx(0.003, rel=0.01)]


def test_a_broken_connection_does_not_lower_the_rate(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    put = put_inputs(store, buckets.input, ["a"])
    pace, slept = Pace(), list[float]()
    emulator.faults.add(Fault(action="cut_before", method="POST", path="/batch"))
    _held_to(emulator, pace, slept).delete_many(buckets.input, [(info.name, info.generation) for info in put])
    assert pace.rate >= 1000


def test_each_bucket_has_its_own_rate(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    slept: list[float] = []
    paced = Store(emulator.client(), pacer=lambda: Pacer(clock=lambda: 0.0, sleep=slept.append))
    for bucket in (buckets.input, buckets.output):
        (put,) = put_inputs(store, bucket, ["a"])
        paced.delete_many(bucket, [(put.name, put.generation)])
    assert slept == []
    paced.delete_many(buckets.input, [("gone", 7)])
    assert slept == [pytest.approx(0.001, rel=0.01)]


def test_concurrent_threads_share_the_rate_of_a_bucket(buckets: Buckets, emulator: Emulator) -> None:
    slept: list[float] = []
    both = threading.Barrier(2)

    def make() -> Pacer:
        both.wait(30)
        return Pacer(clock=lambda: 0.0, sleep=slept.append)

    paced = Store(emulator.client(), pacer=make)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: paced.delete_many(buckets.input, [(name, 7)]), ["a", "b"]))
    assert slept == [pytest.approx(0.001, rel=0.01)]


class Meeting(HTTPAdapter):
    """Delays a request until another one is in flight, too."""

    def __init__(self) -> None:
        super().__init__(pool_maxsize=8)
        self._both = threading.Barrier(2)

    def send(self, *arguments: Any, **options: Any) -> Any:
        self._both.wait(30)
        return super().send(*arguments, **options)


def test_batches_do_not_wait_for_one_another(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    put = put_inputs(store, buckets.input, [f"{number:03d}" for number in range(200)])
    store._client._http.mount("http://", Meeting())
    outcomes = store.delete_many(buckets.input, [(info.name, info.generation) for info in put])
    assert outcomes == [Deletion.DELETED] * 200


def _hold(emulator: Emulator, bucket: str, name: str, kind: str = "temporary_hold", *, held: bool = True) -> None:
    blob = emulator.client().bucket(bucket).blob(name)
    setattr(blob, kind, held)
    blob.patch()


def test_a_delete_that_is_refused_leaves_the_others_alone(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    put = put_inputs(store, buckets.input, ["a", "b", "c", "d", "e", "f"])
    _hold(emulator, buckets.input, "b")
    _hold(emulator, buckets.input, "c", "event_based_hold")
    emulator.faults.add(Fault(status=403, method="DELETE", path="/o/d"))
    emulator.faults.add(Fault(status=400, method="DELETE", path="/o/e"))
    results = store.try_delete_many(buckets.input, [(info.name, info.generation) for info in put])
    assert [result.outcome.value for result in results] == ["deleted", "held", "held", "forbidden", "failed", "deleted"]
    assert "under active Temporary hold" in results[1].reason
    assert "under active Event-Based hold" in results[2].reason
    assert results[4].reason.startswith("400 ")
    assert names_in(store, buckets.input) == ["b", "c", "d", "e"]
    for name, kind in (("b", "temporary_hold"), ("c", "event_based_hold")):
        _hold(emulator, buckets.input, name, kind, held=False)


def test_an_object_under_a_retention_policy_is_retained(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    (put,) = put_inputs(store, buckets.input, ["a"])
    bucket = emulator.client().bucket(buckets.input)
    bucket.retention_period = 86400
    bucket.patch()
    (result,) = store.try_delete_many(buckets.input, [(put.name, put.generation)])
    assert result.outcome is Deletion.RETAINED
    assert "retention policy" in result.reason
    with pytest.raises(ObjectRetainedError, match="a retention policy keeps the object"):
        store.delete_many(buckets.input, [(put.name, put.generation)])
    with pytest.raises(ObjectRetainedError, match="a retention policy keeps the object"):
        store.write(GcsUri(buckets.input, "a"), b"newer")


def test_a_write_over_a_held_object_names_the_hold(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    put_inputs(store, buckets.output, ["a"])
    _hold(emulator, buckets.output, "a")
    with pytest.raises(ObjectHeldError, match=r"write gs://.*/a: the object is under a hold .*release the hold"):
        store.write(GcsUri(buckets.output, "a"), b"newer")


def test_an_object_whose_deletes_keep_failing_leaves_the_others_alone(
    store: Store, buckets: Buckets, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = put_inputs(store, buckets.input, ["a", "b", "c"])
    emulator.faults.add(Fault(status=503, method="DELETE", path="/o/b", times=1000))
    monkeypatch.setattr("google.cloud.storage.retry.DEFAULT_RETRY", DEFAULT_RETRY.with_timeout(0.2))
    results = store.try_delete_many(buckets.input, [(info.name, info.generation) for info in put])
    emulator.faults.clear()
    assert [result.outcome for result in results] == [Deletion.DELETED, Deletion.FAILED, Deletion.DELETED]
    assert results[1].reason.startswith("503 ")
    assert names_in(store, buckets.input) == ["b"]


def test_a_rate_limit_with_status_403_is_retried(store: Store, buckets: Buckets) -> None:
    answers = iter([CallResponse(403, "slow down", [{"reason": "rateLimitExceeded"}]), CallResponse(204)])
    with patch("cloudseg_ops.storage._deletes.perform", lambda *_: [next(answers)]):
        (result,) = store.try_delete_many(buckets.input, [("a", 7)])
    assert result.outcome is Deletion.DELETED
