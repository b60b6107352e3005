"""Transient faults are retried, and other errors are translated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import PermissionDeniedError, StorageError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, Fault
from tests.conftest import Buckets
from tests.storage.conftest import MIB
from tests.support.samples import names_in


@pytest.mark.parametrize("action", ["cut_within", "cut_after"])
def test_a_write_whose_response_was_lost_is_retried(store: Store, uri: GcsUri, emulator: Emulator, action: Any) -> None:
    emulator.faults.add(Fault(action=action, method="POST", path="/upload/"))
    found = store.write(uri, b"x")
    assert store.stat(uri) == found
    assert store.read(uri) == b"x"


@pytest.mark.parametrize("action", ["cut_before", "cut_after", "status"])
@pytest.mark.parametrize("method", ["POST", "PUT"], ids=["begin", "send"])
def test_writing_lines_recovers_from_any_fault(
    store: Store, uri: GcsUri, emulator: Emulator, method: str, action: Any
) -> None:
    emulator.faults.add(Fault(action=action, method=method, path="/upload/"))
    store.write_lines(uri, ["x" * MIB, "y" * MIB], if_generation_match=0)
    assert [len(line) for line in store.read_lines(uri)] == [MIB, MIB]


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(action="cut_within"), Fault(action="cut_after")])
def test_every_other_call_recovers_from_a_fault(
    store: Store, buckets: Buckets, emulator: Emulator, fault: Fault
) -> None:
    source = GcsUri(buckets.input, "a")
    generation = store.write(source, b"x").generation
    calls: list[Callable[[], Any]] = [
        lambda: store.stat(source),
        lambda: store.read(source),
        lambda: names_in(store, buckets.input),
        lambda: store.copy(source, generation, GcsUri(buckets.output, "a"), metadata={}),
    ]
    for call in calls:
        emulator.faults.add(fault)
        call()
    assert store.read(GcsUri(buckets.output, "a")) == b"x"


def test_a_refusal_names_the_roles(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    for status in (401, 403):
        emulator.faults.add(Fault(status=status, method="GET"))
        with pytest.raises(PermissionDeniedError, match=r"docs/architecture\.md"):
            store.read(uri)


def test_any_other_error_names_the_operation(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=400, method="GET"))
    with pytest.raises(StorageError, match=r"read gs://.*BadRequest"):
        store.read(uri)


def test_store_connects_to_the_emulator_of_the_environment(
    emulator: Emulator, store: Store, uri: GcsUri, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(uri, b"x")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    assert Store.open(connections=3).read(uri) == b"x"


def test_missing_credentials_raise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(PermissionDeniedError, match="connect to Cloud Storage: refused"):
        Store.open()


def test_error_response_that_cannot_be_decoded_is_retried(
    store: Store, uri: GcsUri, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(uri, b"x")
    send, lies = store._transport.send, iter([True])

    def send_with_a_lie(method: str, url: str, *arguments: Any, **options: Any) -> Any:
        if next(lies, False):
            response = send(method, url.replace("/o/", "/o/missing-"), *arguments, **options)
            response.headers["Content-Encoding"] = response.raw.headers["Content-Encoding"] = "gzip"
            return response
        return send(method, url, *arguments, **options)

    monkeypatch.setattr(store._transport, "send", send_with_a_lie)
    assert store.read(uri) == b"x"
    assert next(lies, None) is None
