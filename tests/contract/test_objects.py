"""Objects and buckets from the client's side: names, content, checksums, errors."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import TYPE_CHECKING, Any

import google_crc32c
import pytest
import requests
from google.api_core.exceptions import BadRequest, Conflict, NotFound, PreconditionFailed

if TYPE_CHECKING:
    from google.cloud import storage


NAMES = [
    "plain",
    "a",
    "a/b",
    "a/b/c.jpg",
    "a/",
    "with space",
    "per%cent%2Fcent",
    "plus+plus",
    "hash#hash",
    "question?mark=1&x",
    "wolke-☁-雲",
    "a/../b",
    "dots..",
    "compose",
    "a/compose",
    "a/rewriteTo/b/x/o/y",
    "quote'\"back\\slash",
    "e\u0301-is-not-\u00e9",
    "long/" + "x" * 1019,
    "☁" * 341,
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
def test_every_valid_name_is_preserved(client: storage.Client, bucket: Any, name: str) -> None:
    bucket.blob(name).upload_from_string(name.encode())
    assert bucket.blob(name).download_as_bytes() == name.encode()
    assert [blob.name for blob in client.list_blobs(bucket)] == [name]
    assert bucket.get_blob(name).name == name
    bucket.blob(name).delete()
    assert bucket.get_blob(name) is None


def test_nested_and_similar_names_are_different_objects(client: storage.Client, bucket: Any) -> None:
    names = ["a", "a/", "a/b", "A", "\u00e9", "e\u0301"]
    for name in names:
        bucket.blob(name).upload_from_string(name.encode())
    assert {name: bucket.blob(name).download_as_bytes().decode() for name in names} == {n: n for n in names}


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 3_000_001, 9 * 1024 * 1024])
def test_content_of_any_size_is_returned_with_its_checksums(bucket: Any, size: int) -> None:
    content = os.urandom(size)
    blob = bucket.blob("content")
    blob.upload_from_string(content, content_type="image/jpeg")
    found = bucket.get_blob("content")
    assert (found.size or 0) == size  # storage-testbench omits a size of 0
    assert found.content_type == "image/jpeg"
    assert found.md5_hash == base64.b64encode(hashlib.md5(content).digest()).decode()
    assert found.crc32c == base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()
    assert found.download_as_bytes(checksum="md5") == content
    assert found.download_as_bytes(checksum="crc32c") == content


def test_content_resembling_a_multipart_body_is_preserved(bucket: Any) -> None:
    content = b"\r\n--x\r\nContent-Type: text/plain\r\n\r\n--x--\r\n\n--==0==--\r"
    bucket.blob("tricky").upload_from_string(content)
    assert bucket.blob("tricky").download_as_bytes() == content


def test_media_upload(bucket: Any, endpoint: str, is_foreign: bool) -> None:
    answer = requests.post(
        f"{endpoint}/upload/storage/v1/b/{bucket.name}/o",
        params={"uploadType": "media", "name": "a/raw +%"},
        data=b"raw",
        headers={"Content-Type": "text/plain"},
        timeout=10,
    )
    assert answer.status_code == 200
    found = bucket.get_blob("a/raw +%")
    assert found.download_as_bytes() == b"raw"
    if not is_foreign:  # storage-testbench does not use the header as the content type
        assert found.content_type == "text/plain"


@pytest.mark.parametrize("field", ["crc32c", "md5Hash"])
def test_upload_with_a_wrong_checksum_creates_no_object(bucket: Any, field: str, is_foreign: bool) -> None:
    blob = bucket.blob("bad")
    blob._properties[field] = {"crc32c": "AAAAAA==", "md5Hash": "AAAAAAAAAAAAAAAAAAAAAA=="}[field]
    blob._changes.add(field)
    with pytest.raises(PreconditionFailed if is_foreign else BadRequest):
        blob.upload_from_string(b"content", checksum=None)
    assert bucket.get_blob("bad") is None


def test_missing_objects_and_buckets_are_404(client: storage.Client, bucket: Any) -> None:
    assert not bucket.blob("none").exists()
    assert bucket.get_blob("none") is None
    for call in (
        bucket.blob("none").delete,
        bucket.blob("none").reload,
        bucket.blob("none").patch,
        bucket.blob("none").download_as_bytes,
        lambda: list(client.list_blobs("contract-no-such-bucket")),
        lambda: client.bucket("contract-no-such-bucket").blob("x").upload_from_string(b""),
        lambda: client.get_bucket("contract-no-such-bucket"),
    ):
        with pytest.raises(NotFound):
            call()


def test_errors_have_google_s_format(bucket: Any, endpoint: str, is_foreign: bool) -> None:
    answer = requests.get(f"{endpoint}/storage/v1/b/{bucket.name}/o/none", timeout=10)
    error = answer.json()["error"]
    assert answer.status_code == 404
    assert error["message"]
    if not is_foreign:  # storage-testbench omits the list
        assert error["code"] == 404
        assert error["errors"][0]["reason"] == "notFound"


def test_buckets(client: storage.Client, bucket: Any, is_foreign: bool) -> None:
    assert client.get_bucket(bucket.name).name == bucket.name
    assert bucket.name in [each.name for each in client.list_buckets()]
    assert client.bucket(bucket.name).exists()
    assert not client.bucket("contract-no-such-bucket").exists()
    with pytest.raises(Conflict):
        client.create_bucket(bucket.name)
    bucket.labels = {"team": "clouds"}
    bucket.patch()
    assert client.get_bucket(bucket.name).labels == {"team": "clouds"}
    assert client.get_bucket(bucket.name).metageneration > 1
    bucket.blob("x").upload_from_string(b"")
    with pytest.raises(BadRequest if is_foreign else Conflict):
        client.bucket(bucket.name).delete()
