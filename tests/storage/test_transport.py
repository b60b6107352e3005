"""What goes with every request that does not use the client's own calls."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.auth.exceptions import RefreshError
from google.cloud.storage import Client
from google.oauth2.credentials import Credentials

from cloudseg_ops.contracts.errors import ObjectNotFoundError, PermissionDeniedError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from gcs_emulator import Fault
from tests.storage.serving import recording, served

URI = GcsUri("bucket", "a/Größe 1#2?.jpg")


class Tokens:
    """Hands out tokens; the second is the last."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self, request: Any, scopes: Any) -> Any:
        self.given += 1
        if self.given > 2:
            raise RefreshError("no more tokens")  # type: ignore[no-untyped-call]
        # google-auth wants it without a time zone.
        return f"token-{self.given}", datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)


def client(url: str, **options: Any) -> Client:
    credentials = Credentials(  # type: ignore[no-untyped-call]
        None, refresh_handler=Tokens(), quota_project_id="paying-project"
    )
    return Client("project", credentials, client_options={"api_endpoint": url}, **options)


def test_identity_and_origin_go_with_reads_and_writes() -> None:
    seen: list[dict[str, Any]] = []
    with served(recording(seen)) as emulator:
        store = Store(client(emulator.url, extra_headers={"x-goog-custom-audit-job": "run 1"}))
        generation = store.write(URI, b"x", metadata={"k": "é"}, if_generation_match=0).generation
        assert store.read(URI, generation=generation) == b"x"
    write, read = (item for item in seen if item["path"].startswith(("/upload", "/download")))
    for item in (write, read):
        assert item["authorization"] == "Bearer token-1"
        assert item["x-goog-user-project"] == "paying-project"
        assert item["x-goog-custom-audit-job"] == "run 1"
        assert "gcloud-python/" in item["user-agent"]
        assert "gccl-invocation-id/" in item["x-goog-api-client"]
    assert read["path"] == f"/download/storage/v1/b/bucket/o/{URI.name}"


def test_the_tries_of_one_call_say_so() -> None:
    seen: list[dict[str, Any]] = []
    with served(recording(seen)) as emulator:
        store = Store(client(emulator.url))
        store.write(URI, b"x")
        emulator.faults.add(Fault(status=503, path="alt=media"))
        store.read(URI)
        store.read(URI)
    first, again, other = (item["x-goog-api-client"] for item in seen if item["path"].startswith("/download"))
    assert first == again != other


def test_a_token_that_is_refused_is_renewed_once() -> None:
    seen: list[dict[str, Any]] = []
    with served(recording(seen)) as emulator:
        store = Store(client(emulator.url))
        store.write(URI, b"x")
        emulator.faults.add(Fault(status=401, path="alt=media"))
        assert store.read(URI) == b"x"
        emulator.faults.add(Fault(status=401, path="alt=media"))
        with pytest.raises(PermissionDeniedError, match="no more tokens"):
            store.read(URI)
    tokens = [item["authorization"] for item in seen if item["path"].startswith("/download")]
    assert tokens == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_proxies_of_the_environment_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy on loopback is one server more that sees the request, with the whole address in its first line."""
    seen: list[dict[str, Any]] = []
    with served(recording(seen)) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://storage.example")
        monkeypatch.setenv("http_proxy", proxy.url)
        store = Store.open()
        with pytest.raises(ObjectNotFoundError):
            store.read(URI)
        monkeypatch.setenv("no_proxy", "storage.example")
        assert [item["host"] for item in seen if item["path"].startswith("/download")] == ["storage.example"]


def test_connections_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(lambda app: app) as emulator:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
        store = Store.open(connections=4)
        for _ in range(20):
            store.write(URI, b"x")
            store.read(URI)
        (pool,) = store._client._http.get_adapter(emulator.url).poolmanager.pools._container.values()
        assert pool.num_connections == 1
