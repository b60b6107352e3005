from __future__ import annotations

import base64
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import google_crc32c
import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from gcs_emulator import Emulator, EmulatorStartError, start_emulator
from gcs_emulator.payloads import SMALL_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "gcs_emulator"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with start_emulator() as running:
        yield running


def _run(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Start the emulator as a separate process; returns it with its address."""
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line.startswith("listening on http://127.0.0.1:")
    return process, line.removeprefix("listening on ")


def _client(url: str) -> Any:
    credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
    return storage.Client(project="x", credentials=credentials, client_options={"api_endpoint": url})


def test_directory_persists_objects(tmp_path: Path) -> None:
    names = ["a", "a/b", "über/%2F?#.jpg", "x" * 1024]
    with start_emulator(tmp_path) as first:
        bucket = first.client().create_bucket("bucket")
        for name in names:
            blob = bucket.blob(name)
            blob.metadata = {"name": name[:10]}
            blob.upload_from_string(name.encode(), content_type="text/plain")
        before = {blob.name: blob._properties for blob in first.client().list_blobs("bucket")}
    with start_emulator(tmp_path) as second:
        client = second.client()
        after = {blob.name: blob._properties for blob in client.list_blobs("bucket")}
        links = {"selfLink", "mediaLink"}
        assert {n: {k: v for k, v in p.items() if k not in links} for n, p in after.items()} == {
            n: {k: v for k, v in p.items() if k not in links} for n, p in before.items()
        }
        for name in names:
            assert client.bucket("bucket").blob(name).download_as_bytes() == name.encode()
        blob = client.bucket("bucket").blob("a")
        blob.upload_from_string(b"new")
        assert blob.generation > max(int(properties["generation"]) for properties in before.values())


def test_memory_does_not_persist() -> None:
    with start_emulator() as first:
        first.client().create_bucket("bucket")
    with start_emulator() as second:
        assert list(second.client().list_buckets()) == []


def test_kill_during_writes_leaves_no_partial_object(tmp_path: Path) -> None:
    process, url = _run("--port", "0", "--directory", str(tmp_path))
    _client(url).create_bucket("bucket")
    acknowledged: dict[str, int] = {}

    def write_repeatedly(worker: int) -> None:
        session = requests.Session()
        for number in range(10_000):
            name = f"{worker}-{number % 7}"
            content = os.urandom(1 + (number * 7919) % 300_000)
            body: dict[str, Any] = {"params": {"uploadType": "media", "name": name}, "data": content, "timeout": 10}
            try:
                answer = session.post(f"{url}/upload/storage/v1/b/bucket/o", **body)
                acknowledged[name] = int(answer.json()["generation"])
                if number % 5 == 4:
                    session.patch(
                        f"{url}/storage/v1/b/bucket/o/{name}", json={"metadata": {"n": str(number)}}, timeout=10
                    )
            except requests.RequestException:
                return

    with ThreadPoolExecutor(4) as pool:
        storms = [pool.submit(write_repeatedly, worker) for worker in range(4)]
        time.sleep(1.0)
        process.send_signal(signal.SIGKILL)
        for each in storms:
            each.result()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()
    assert len(acknowledged) > 10

    with start_emulator(tmp_path) as emulator:
        found = {blob.name: blob for blob in emulator.client().list_blobs("bucket")}
        for name, generation in acknowledged.items():
            assert found[name].generation >= generation
        for blob in found.values():
            content = requests.get(blob.media_link, timeout=10).content
            assert len(content) == blob.size
            assert google_crc32c.value(content) == int.from_bytes(base64.b64decode(blob.crc32c), "big")
        fresh = emulator.client().bucket("bucket").blob("fresh")
        fresh.upload_from_string(b"x")
        assert fresh.generation > max(blob.generation for blob in found.values())
        kept = [path for path in (tmp_path / "payloads").rglob("*") if path.is_file()]
        assert len(kept) == sum(blob.size > SMALL_BYTES for blob in found.values())
    with closing(sqlite3.connect(tmp_path / "metadata.sqlite3")) as database:
        rows = database.execute("SELECT count(*) FROM payloads").fetchone()[0]
    assert rows == len(found) + 1 - len(kept)


def test_generations_increase_even_if_the_clock_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start_emulator(tmp_path) as emulator:
        bucket = emulator.client().create_bucket("bucket")
        blob = bucket.blob("a")
        blob.upload_from_string(b"x")
        first = blob.generation
        blob.delete()
    yesterday = time.time_ns() - 86_400 * 10**9
    monkeypatch.setattr("gcs_emulator.bucket_store.time.time_ns", lambda: yesterday)
    with start_emulator(tmp_path) as emulator:
        blob = emulator.client().bucket("bucket").blob("a")
        blob.upload_from_string(b"y")
        assert blob.generation > first


def test_directory_is_used_by_one_emulator(tmp_path: Path) -> None:
    with start_emulator(tmp_path), pytest.raises(EmulatorStartError, match="another emulator"):
        start_emulator(tmp_path)


def test_taken_port_is_reported_and_exits_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run([*COMMAND, "--port", str(port)], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 2
        assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
        assert "Traceback" not in done.stderr
        with pytest.raises(EmulatorStartError, match="choose another port"):
            start_emulator(port=port)


def test_sigterm_stops_the_process_cleanly(tmp_path: Path) -> None:
    process, url = _run("--port", "0", "--directory", str(tmp_path), "--latency", "0.05")
    start = time.monotonic()
    assert requests.get(f"{url}/storage/v1/b", timeout=5).status_code == 200
    assert time.monotonic() - start >= 0.05
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    with start_emulator(tmp_path):
        pass


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/storage/v1/b/x/notificationConfigs"), ("POST", "/storage/v1/b/x/o/y/restore"), ("HEAD", "/nothing")],
)
def test_unknown_call_is_501_and_named(emulator: Emulator, method: str, path: str) -> None:
    answer = requests.request(method, emulator.url + path, timeout=5)
    assert answer.status_code == 501
    if method != "HEAD":
        assert f"{method} {path}" in answer.json()["error"]["message"]


def test_batch_of_more_than_a_hundred_calls_is_rejected(emulator: Emulator) -> None:
    client = emulator.client()
    bucket = client.create_bucket("batched")
    for number in range(101):
        bucket.blob(str(number)).upload_from_string(b"")
    part = "--b\r\nContent-Type: application/http\r\n\r\nDELETE /storage/v1/b/batched/o/{} HTTP/1.1\r\n\r\n\r\n"
    body = "".join(part.format(number) for number in range(101)) + "--b--"
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    answer = requests.post(f"{emulator.url}/batch/storage/v1", data=body, headers=headers, timeout=5)
    assert answer.status_code == 400
    assert "at most 100" in answer.json()["error"]["message"]
    assert len(list(client.list_blobs("batched"))) == 101


@pytest.mark.parametrize("call", ["GET /download/storage/v1/b/parts/o/a", "GET /storage/v1/b/parts/o/a?alt=media",
                                  "POST /upload/storage/v1/b/parts/o?uploadType=media&name=x", "nonsense"])  # fmt: skip
def test_invalid_call_of_a_batch_does_not_affect_the_others(emulator: Emulator, call: str) -> None:
    if not emulator.client().bucket("parts").exists():
        emulator.client().create_bucket("parts")
    part = "--b\r\nContent-Type: application/http\r\nContent-ID: <x+{}>\r\n\r\n{} HTTP/1.1\r\n\r\n\r\n"
    body = part.format(1, call) + part.format(2, "GET /storage/v1/b/parts") + "--b--"
    headers = {"Content-Type": 'multipart/mixed; boundary="b"'}
    answer = requests.post(f"{emulator.url}/batch/storage/v1", data=body, headers=headers, timeout=5)
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if line.startswith(("HTTP/", "Content-ID"))]
    assert lines == ["Content-ID: <response-x+1>", "HTTP/1.1 400 Bad Request", "Content-ID: <response-x+2>",
                     "HTTP/1.1 200 OK"]  # fmt: skip


@pytest.mark.parametrize("name", [".", "..", "line\nfeed", "x" * 1025, "☁" * 342])
def test_invalid_object_name_is_rejected(emulator: Emulator, name: str) -> None:
    client = emulator.client()
    bucket = client.bucket("refusing")
    if not bucket.exists():
        client.create_bucket("refusing")
    answer = requests.post(
        f"{emulator.url}/upload/storage/v1/b/refusing/o",
        params={"uploadType": "media", "name": name},
        data=b"x",
        timeout=5,
    )
    assert answer.status_code == 400


def test_precondition_that_is_not_a_number_is_400(emulator: Emulator) -> None:
    answer = requests.delete(f"{emulator.url}/storage/v1/b/b/o/o?ifGenerationMatch=abc", timeout=5)
    assert answer.status_code == 400
