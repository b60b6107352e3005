"""A successful response without the expected content is not used, and the call is repeated."""

from collections.abc import Callable
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import StorageError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, Fault
from tests.storage.conftest import MIB
from tests.storage.test_deadlines import CALLS

pytestmark = pytest.mark.usefixtures("quick_retries")
JSON_CALLS = [call for call in CALLS if call not in {"media", "part", "lines"}]


@pytest.mark.parametrize("action", ["empty", "half"])
@pytest.mark.parametrize("call", JSON_CALLS)
def test_call_is_repeated_after_a_broken_answer(
    store: Store, uri: GcsUri, emulator: Emulator, call: str, action: Any
) -> None:
    method, path, do = CALLS[call]
    store.write(uri, b"x" * 300)
    before = do(store, uri) if method == "GET" else None
    emulator.faults.add(Fault(action=action, method=method, path=path, times=2))
    after = do(store, uri)
    assert before is None or before == after


def test_start_of_a_session_without_a_body_is_normal_but_not_without_a_location(
    store: Store, uri: GcsUri, emulator: Emulator
) -> None:
    emulator.faults.add(Fault(action="empty", method="POST", path="uploadType=resumable"))
    store.write_lines(uri, ["x"])
    assert list(store.read_lines(uri)) == ["x"]


@pytest.mark.parametrize("action", ["empty", "half"])
def test_last_answer_of_a_session_is_asked_for_again(
    store: Store, uri: GcsUri, emulator: Emulator, action: Any
) -> None:
    emulator.faults.add(Fault(action=action, method="PUT", path="/upload/", skip=2))
    store.write_lines(uri, ["x" * MIB, "y" * MIB], if_generation_match=0)
    assert [len(line) for line in store.read_lines(uri)] == [MIB, MIB]


@pytest.mark.parametrize("call", JSON_CALLS)
def test_answers_that_stay_broken_are_a_storage_error(
    store: Store, uri: GcsUri, emulator: Emulator, call: str, retry_seconds: Callable[[float], None]
) -> None:
    method, path, do = CALLS[call]
    store.write(uri, b"x" * 300)
    emulator.faults.add(Fault(action="half", method=method, path=path, times=100))
    retry_seconds(0.1)
    with pytest.raises(StorageError, match="try again later"):
        do(store, uri)
    emulator.faults.clear()


@pytest.mark.parametrize("action", ["status", "cut_before", "cut_within", "cut_after"])
def test_read_beyond_the_end_is_repeated_if_its_416_is_lost(
    store: Store, uri: GcsUri, emulator: Emulator, action: Any
) -> None:
    store.write(uri, b"x" * 10)
    emulator.faults.add(Fault(action=action, path="alt=media"))
    assert store.read_part(uri, 10, 20) == b""


def test_refusals_do_not_suggest_another_try(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=400, method="POST", path="/upload/", message="Invalid metadata."))
    with pytest.raises(StorageError, match=r"Invalid metadata\..*correct what the message names"):
        store.write(uri, b"x")
