"""Resumable uploads from the client's side."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.api_core.exceptions import PreconditionFailed
from google.cloud.storage.exceptions import InvalidResponse

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 256 * 1024
# If a chunk gets the 412, the writer raises a different error.
_REFUSED = (PreconditionFailed, InvalidResponse)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 1_000_000])
def test_writer_uploads_in_chunks(bucket: Any, size: int) -> None:
    content = os.urandom(size)
    with bucket.blob("w").open("wb", chunk_size=CHUNK, if_generation_match=0, content_type="image/png") as writer:
        for start in range(0, size, 100_000):
            writer.write(content[start : start + 100_000])
    found = bucket.get_blob("w")
    assert found.download_as_bytes() == content
    assert (found.size or 0) == size  # storage-testbench omits a size of 0
    assert found.content_type == "image/png"


def test_writer_on_an_existing_name_changes_nothing(bucket: Any) -> None:
    bucket.blob("w").upload_from_string(b"one")
    with pytest.raises(_REFUSED), bucket.blob("w").open("wb", chunk_size=CHUNK, if_generation_match=0) as writer:
        writer.write(b"x" * 600_000)
    assert bucket.blob("w").download_as_bytes() == b"one"


def test_object_created_during_the_write_is_kept(bucket: Any) -> None:
    writer = bucket.blob("w").open("wb", chunk_size=CHUNK, if_generation_match=0)
    writer.write(b"x" * 600_000)
    bucket.blob("w").upload_from_string(b"one")
    with pytest.raises(_REFUSED):
        writer.close()
    assert bucket.blob("w").download_as_bytes() == b"one"


def test_unfinished_upload_is_not_an_object(bucket: Any) -> None:
    writer = bucket.blob("w").open("wb", chunk_size=CHUNK)
    writer.write(b"x" * 600_000)
    assert bucket.get_blob("w") is None
    writer.close()
    assert bucket.get_blob("w").size == 600_000


def test_file_with_a_chunk_size_is_uploaded_in_chunks(bucket: Any, tmp_path: Path) -> None:
    content = os.urandom(2_000_000)
    path = tmp_path / "scene.jpg"
    path.write_bytes(content)
    blob = bucket.blob("f", chunk_size=CHUNK)
    blob.metadata = {"k": "v"}
    blob.upload_from_filename(str(path), checksum="md5")
    found = bucket.get_blob("f")
    assert found.download_as_bytes() == content
    assert found.metadata["k"] == "v"
    assert found.content_type == "image/jpeg"
    target = tmp_path / "back.jpg"
    bucket.blob("f", chunk_size=CHUNK).download_to_filename(str(target))
    assert target.read_bytes() == content


def test_stream_of_unknown_length(bucket: Any) -> None:
    blob = bucket.blob("s", chunk_size=CHUNK)
    blob.upload_from_file(io.BytesIO(b"y" * 700_000), size=None)
    assert bucket.get_blob("s").size == 700_000


def _session(bucket: Any, endpoint: str, name: str, **headers: str) -> str:
    answer = requests.post(
        f"{endpoint}/upload/storage/v1/b/{bucket.name}/o",
        params={"uploadType": "resumable"},
        json={"name": name},
        headers=headers,
        timeout=10,
    )
    assert answer.status_code == 200
    return answer.headers["location"]


def test_protocol_of_a_resumable_session(bucket: Any, endpoint: str) -> None:
    content = os.urandom(2 * CHUNK + 5)
    total = len(content)
    url = _session(bucket, endpoint, "p")
    fresh = requests.put(url, headers={"Content-Range": "bytes */*"}, timeout=10)
    assert fresh.status_code == 308
    assert "range" not in fresh.headers
    first = requests.put(url, data=content[:CHUNK], headers={"Content-Range": f"bytes 0-{CHUNK - 1}/*"}, timeout=10)
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{CHUNK - 1}")
    asked = requests.put(url, headers={"Content-Range": f"bytes */{total}"}, timeout=10)
    assert (asked.status_code, asked.headers["range"]) == (308, f"bytes=0-{CHUNK - 1}")
    # Bytes that were sent before are ignored.
    again = requests.put(
        url, data=content[: 2 * CHUNK], headers={"Content-Range": f"bytes 0-{2 * CHUNK - 1}/{total}"}, timeout=10
    )
    assert (again.status_code, again.headers["range"]) == (308, f"bytes=0-{2 * CHUNK - 1}")
    assert bucket.get_blob("p") is None
    last = requests.put(
        url,
        data=content[2 * CHUNK :],
        headers={"Content-Range": f"bytes {2 * CHUNK}-{total - 1}/{total}"},
        timeout=10,
    )
    assert last.status_code == 200
    assert last.json()["size"] == str(total)
    done = requests.put(url, headers={"Content-Range": f"bytes */{total}"}, timeout=10)
    assert done.status_code == 200
    assert bucket.blob("p").download_as_bytes() == content


def test_final_chunk_with_a_wrong_hash_creates_no_object(bucket: Any, endpoint: str, is_foreign: bool) -> None:
    url = _session(bucket, endpoint, "bad")
    answer = requests.put(
        url,
        data=b"abc",
        headers={"Content-Range": "bytes 0-2/3", "x-goog-hash": "crc32c=AAAAAA=="},
        timeout=10,
    )
    assert answer.status_code == 400 or (is_foreign and answer.status_code == 412)
    assert bucket.get_blob("bad") is None


def test_cancelled_session_is_gone(bucket: Any, endpoint: str) -> None:
    url = _session(bucket, endpoint, "c")
    assert requests.delete(url, timeout=10).status_code == 499
    answer = requests.put(url, data=b"abc", headers={"Content-Range": "bytes 0-2/3"}, timeout=10)
    assert answer.status_code in {404, 410, 499}
    assert bucket.get_blob("c") is None


def test_chunk_that_leaves_a_gap_is_rejected(bucket: Any, endpoint: str, is_foreign: bool) -> None:
    url = _session(bucket, endpoint, "gap")
    answer = requests.put(
        url, data=b"x" * CHUNK, headers={"Content-Range": f"bytes {CHUNK}-{2 * CHUNK - 1}/{2 * CHUNK}"}, timeout=10
    )
    if is_foreign and answer.status_code == 200:
        pytest.skip(f"{endpoint} takes a chunk that leaves a gap")
    assert 400 <= answer.status_code < 600
    assert bucket.get_blob("gap") is None
