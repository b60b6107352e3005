"""Every request ends, however slowly the bytes of its response arrive or those of the request are accepted."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from cloudseg_ops.contracts.errors import StorageError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store, _deadlines
from gcs_emulator import Emulator, Fault
from tests.conftest import Buckets

GRACE = 0.2


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, quick_retries: None) -> None:
    monkeypatch.setattr(_deadlines, "GRACE_SECONDS", GRACE)


def _copy(store: Store, uri: GcsUri) -> None:
    info = store.stat(uri)
    assert info is not None
    store.copy(uri, info.generation, GcsUri(uri.bucket, "copy"), metadata={})


CALLS: dict[str, tuple[str, str, Callable[[Store, GcsUri], Any]]] = {
    "media": ("GET", "alt=media", lambda store, uri: store.read(uri)),
    "part": ("GET", "alt=media", lambda store, uri: store.read_part(uri, 0, 500)),
    "lines": ("GET", "alt=media", lambda store, uri: list(store.read_lines(uri))),
    "stat": ("GET", "/o/", lambda store, uri: store.stat(uri)),
    "listing": ("GET", r"/o\?", lambda store, uri: list(store.list_objects(GcsUri(uri.bucket)))),
    "upload": ("POST", "/upload/", lambda store, uri: store.write(uri, b"new")),
    "session": ("PUT", "/upload/", lambda store, uri: store.write_lines(uri, ["new"])),
    "copy": ("POST", "/rewriteTo/", _copy),
    "batch": ("POST", "/batch", lambda store, uri: store.delete_many(uri.bucket, [(uri.name, 1)])),
}


@pytest.mark.parametrize("call", CALLS)
def test_trickling_response_is_given_up_and_the_call_repeated(
    store: Store, buckets: Buckets, emulator: Emulator, call: str
) -> None:
    method, path, do = CALLS[call]
    uri = GcsUri(buckets.staging, "a")
    store.write(uri, b"x" * 300)
    emulator.faults.add(Fault(action="trickle", method=method, path=path, seconds=0.02))
    began = time.monotonic()
    do(store, uri)
    assert GRACE < time.monotonic() - began < 2


@contextmanager
def _server(answer: Callable[[socket.socket], None]) -> Iterator[Store]:
    """A store whose server handles each connection with `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
        yield Store(Client("project", credentials, client_options={"api_endpoint": url}))
        listener.shutdown(socket.SHUT_RDWR)


def test_trickling_headers_end_with_an_error(retry_seconds: Callable[[float], None]) -> None:
    retry_seconds(0.3)

    def answer(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Header: ")
                for _ in range(200):
                    time.sleep(0.02)
                    connection.sendall(b"x")
            except OSError:
                pass

    began = time.monotonic()
    with _server(answer) as store, pytest.raises(StorageError, match="try again later"):
        store.read(GcsUri("bucket", "a"))
    assert time.monotonic() - began < 2


def test_upload_that_is_accepted_slowly_ends_with_an_error(
    retry_seconds: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    retry_seconds(0.3)
    monkeypatch.setattr(_deadlines, "MIN_BYTES_PER_SECOND", 1 << 40)

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                for _ in range(200):
                    time.sleep(0.02)
                    connection.recv(100)
            except OSError:
                pass

    began = time.monotonic()
    with _server(answer) as store, pytest.raises(StorageError, match="try again later"):
        store.write(GcsUri("bucket", "a"), bytes(8 << 20))
    assert time.monotonic() - began < 3


def test_bytes_that_arrive_fast_enough_extend_the_time(
    store: Store, buckets: Buckets, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_deadlines, "MIN_BYTES_PER_SECOND", 20)
    uri = GcsUri(buckets.staging, "a")
    store.write(uri, b"x" * 20)
    emulator.faults.add(Fault(action="trickle", path="alt=media", seconds=0.02))
    began = time.monotonic()
    assert store.read(uri) == b"x" * 20
    assert time.monotonic() - began > 2 * GRACE - 0.05


def test_connections_of_a_proxy_are_limited_too(
    buckets: Buckets, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    uri = GcsUri(buckets.staging, "a")
    store.write(uri, b"x" * 300)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://storage.example")
    monkeypatch.setenv("http_proxy", emulator.url)
    manager = Store.open()._client._http.get_adapter("http://storage.example").proxy_manager_for(emulator.url)
    assert manager.pool_classes_by_scheme is _deadlines._POOLS


def test_adapter_with_a_client_certificate_stays_mounted(emulator: Emulator) -> None:
    client = emulator.client()
    mounted = client._http.get_adapter(emulator.url)
    Store(client)
    assert client._http.get_adapter(emulator.url) is mounted
