from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.api_core.exceptions import NotFound, ServiceUnavailable

from gcs_emulator import Emulator, Fault, start_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcs_emulator.faults import Action


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with start_emulator() as emulator:
        emulator.client().create_bucket("bucket")
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Iterator[Emulator]:
    yield running
    running.faults.clear()


@pytest.fixture
def bucket(emulator: Emulator) -> Any:
    return emulator.client().bucket("bucket")


def test_status_fault_only_affects_matching_calls(emulator: Emulator, bucket: Any) -> None:
    emulator.faults.add(Fault(status=503, method="DELETE", path="/o/a b", times=2))
    bucket.blob("a b").upload_from_string(b"x")
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match="Fault injected"):
            bucket.blob("a b").delete(retry=None)
    assert emulator.faults.pending() == []
    bucket.blob("a b").delete(retry=None)


def test_client_retries_after_a_status_fault(emulator: Emulator, bucket: Any) -> None:
    emulator.faults.add(Fault(status=429, method="GET", path="/o/r"))
    bucket.blob("r").upload_from_string(b"x")
    before = emulator.calls().get("faults.status", 0)
    assert bucket.get_blob("r").size == 1
    assert emulator.calls()["faults.status"] == before + 1


def test_skip_lets_the_first_calls_pass(emulator: Emulator, bucket: Any) -> None:
    emulator.faults.add(Fault(method="GET", path="/o/s", skip=2))
    bucket.blob("s").upload_from_string(b"x")
    bucket.get_blob("s", retry=None)
    bucket.get_blob("s", retry=None)
    with pytest.raises(ServiceUnavailable):
        bucket.get_blob("s", retry=None)
    bucket.get_blob("s", retry=None)


def test_connection_cut_before_the_work_changes_nothing(emulator: Emulator, bucket: Any) -> None:
    emulator.faults.add(Fault(action="cut_before", method="POST", path="/upload/"))
    with pytest.raises(requests.ConnectionError):
        bucket.blob("before").upload_from_string(b"x", retry=None)
    assert bucket.get_blob("before") is None


def test_connection_cut_after_the_work_keeps_the_change(emulator: Emulator, bucket: Any) -> None:
    emulator.faults.add(Fault(action="cut_after", method="POST", path="/upload/"))
    with pytest.raises(requests.ConnectionError):
        bucket.blob("after").upload_from_string(b"x", retry=None)
    assert bucket.blob("after").download_as_bytes() == b"x"
    emulator.faults.add(Fault(action="cut_after", method="DELETE"))
    with pytest.raises(NotFound):
        # The client retries when the connection breaks, but its first call has already succeeded.
        bucket.blob("after").delete(if_generation_match=bucket.get_blob("after").generation)


@pytest.mark.parametrize("action", ["cut_before", "cut_after", "status"])
@pytest.mark.parametrize("chunk", [0, 1, 2])
def test_resumable_upload_survives_any_broken_chunk(
    emulator: Emulator, bucket: Any, action: Action, chunk: int
) -> None:
    content = os.urandom(600_000)
    emulator.faults.add(Fault(action=action, method="PUT", path="/upload/", skip=chunk))
    with bucket.blob("resumed").open("wb", chunk_size=256 * 1024) as writer:
        writer.write(content)
    assert emulator.faults.pending() == []
    assert bucket.blob("resumed").download_as_bytes() == content
    bucket.blob("resumed").delete()


def test_connection_is_usable_after_an_early_rejection(emulator: Emulator) -> None:
    url = f"{emulator.url}/upload/storage/v1/b/bucket/o?uploadType=media&name=taken&ifGenerationMatch=0"
    with requests.Session() as session:
        statuses = [session.post(url, data=os.urandom(8_000_000), timeout=10).status_code for _ in range(3)]
        assert statuses == [200, 412, 412]
        assert session.get(f"{emulator.url}/_emulator/health", timeout=5).status_code == 200


def test_truncated_body_creates_no_object(emulator: Emulator, bucket: Any) -> None:
    host, port = emulator.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = "POST /upload/storage/v1/b/bucket/o?uploadType=media&name=broken HTTP/1.1\r\nHost: x\r\n"
        connection.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 500_000)
    time.sleep(0.1)
    assert bucket.get_blob("broken") is None
    assert requests.get(f"{emulator.url}/_emulator/health", timeout=5).status_code == 200


def test_status_fault_affects_one_call_of_a_batch(emulator: Emulator, bucket: Any) -> None:
    for name in ("a", "b", "c"):
        bucket.blob(name).upload_from_string(b"x")
    emulator.faults.add(Fault(status=503, method="DELETE", path="/o/b"))
    with bucket.client.batch(raise_exception=False) as batch:
        for name in ("a", "b", "c"):
            bucket.delete_blob(name)
    assert [answer.status_code for answer in batch._responses] == [204, 503, 204]
    assert bucket.get_blob("b") is not None


def test_latency_delays_every_call(emulator: Emulator, bucket: Any) -> None:
    bucket.exists()
    emulator.faults.latency = 0.1
    start = time.monotonic()
    bucket.exists()
    assert 0.1 <= time.monotonic() - start < 1
    emulator.faults.clear()
    start = time.monotonic()
    bucket.exists()
    assert time.monotonic() - start < 0.1


def test_faults_over_http(emulator: Emulator, bucket: Any) -> None:
    url = f"{emulator.url}/_emulator/faults"
    described = {"action": "status", "status": 500, "method": "GET", "path": "/o/h", "times": 3}
    answer = requests.post(url, json={"latency": 0.01, "faults": [described]}, timeout=5)
    assert answer.json() == {
        "latency": 0.01,
        "faults": [{**described, "skip": 0, "message": "", "seconds": 0.05}],
    }
    assert requests.get(f"{emulator.url}/storage/v1/b/bucket/o/h", timeout=5).status_code == 500
    assert requests.get(url, timeout=5).json()["faults"][0]["times"] == 2
    assert requests.delete(url, timeout=5).json() == {"latency": 0.0, "faults": []}
    assert requests.get(f"{emulator.url}/storage/v1/b/bucket/o/h", timeout=5).status_code == 404


@pytest.mark.parametrize(
    "body",
    [{"faults": [{"acton": "status"}]}, {"faults": [{"action": "explode"}]}, {"faults": [{"path": "("}]},
     {"latency": -1}, {"fault": {}}, {"faults": [{"times": "many"}]}],
    ids=str,
)  # fmt: skip
def test_invalid_fault_is_rejected(emulator: Emulator, body: dict[str, Any]) -> None:
    answer = requests.post(f"{emulator.url}/_emulator/faults", json=body, timeout=5)
    assert answer.status_code == 400
    assert emulator.faults.pending() == []


def test_health_and_counters(emulator: Emulator, bucket: Any) -> None:
    assert requests.get(f"{emulator.url}/_emulator/health", timeout=5).json()["status"] == "ok"
    before = emulator.calls().get("objects.insert", 0)
    bucket.blob("counted").upload_from_string(b"x")
    counted = requests.get(f"{emulator.url}/_emulator/requests", timeout=5).json()
    assert counted["objects.insert"] == before + 1


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_cut_within_truncates_the_response(emulator: Emulator, bucket: Any, size: int) -> None:
    data = os.urandom(size)
    bucket.blob("w").upload_from_string(data)
    emulator.faults.add(Fault(action="cut_within", path="/o/w\\?alt=media"))
    with requests.get(f"{emulator.url}/storage/v1/b/bucket/o/w?alt=media", stream=True, timeout=30) as answer:
        assert answer.headers["Content-Length"] == str(size)
        pieces: list[bytes] = []
        with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
            pieces.extend(answer.iter_content(100))
    got = b"".join(pieces)
    assert 0 < len(got) < size
    assert data.startswith(got)
    assert bucket.blob("w").download_as_bytes() == data
