"""Downloads from the client's side: ranges, readers, headers."""

import os
from typing import Any

import pytest
import requests
from google.api_core.exceptions import RequestRangeNotSatisfiable


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 3, b"0123"), (5, None, b"56789"), (8, 100, b"89"), (-3, None, b"789"), (9, 9, b"9"), (0, 9, b"0123456789")],
)
def test_range_returns_exactly_those_bytes(bucket: Any, start: int, end: int | None, expected: bytes) -> None:
    bucket.blob("r").upload_from_string(b"0123456789")
    assert bucket.blob("r").download_as_bytes(start=start, end=end) == expected


def test_range_behind_the_end_is_416(bucket: Any) -> None:
    bucket.blob("r").upload_from_string(b"0123456789")
    with pytest.raises(RequestRangeNotSatisfiable):
        bucket.blob("r").download_as_bytes(start=10)


def test_reader_reads_in_chunks(bucket: Any) -> None:
    content = os.urandom(1_000_000)
    bucket.blob("r").upload_from_string(content)
    with bucket.blob("r").open("rb", chunk_size=300_000) as reader:
        assert reader.read(10) == content[:10]
        reader.seek(999_990)
        assert reader.read() == content[999_990:]


def test_download_headers_have_hashes_and_generation(bucket: Any, endpoint: str) -> None:
    blob = bucket.blob("h")
    blob.upload_from_string(b"abc", content_type="text/plain")
    found = bucket.get_blob("h")
    answer = requests.get(f"{endpoint}/download/storage/v1/b/{bucket.name}/o/h?alt=media", timeout=10)
    assert f"crc32c={found.crc32c}" in answer.headers["x-goog-hash"]
    assert f"md5={found.md5_hash}" in answer.headers["x-goog-hash"]
    assert answer.headers["x-goog-generation"] == str(found.generation)
    assert answer.headers["content-type"].startswith("text/plain")
    blob = bucket.blob("h")
    blob.download_as_bytes()
    assert blob.crc32c == found.crc32c
