"""Metadata from the client's side: fields, generations, times, patch and update."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.api_core.exceptions import NotFound

from .answers import own_metadata

if TYPE_CHECKING:
    from google.cloud import storage


def test_fields_of_a_new_object(client: storage.Client, bucket: Any) -> None:
    before = time.time()
    blob = bucket.blob("fresh")
    blob.metadata = {"cloudseg-generation": "17", "Key": "värde"}
    blob.cache_control = "no-store"
    blob.upload_from_string(b"abc", content_type="text/plain")
    found = bucket.get_blob("fresh")
    assert own_metadata(found.metadata) == {"cloudseg-generation": "17", "Key": "värde"}
    assert found.cache_control == "no-store"
    assert found.metageneration == 1
    assert found.generation > 0
    assert found.etag
    assert found.id.endswith(f"/fresh/{found.generation}")
    assert before - 1 <= found.time_created.timestamp() <= time.time() + 1
    assert found.updated == found.time_created
    listed = next(iter(client.list_blobs(bucket)))
    keys = ("name", "size", "generation", "crc32c", "md5_hash", "updated", "metadata", "etag", "metageneration")
    assert [getattr(listed, key) for key in keys] == [getattr(found, key) for key in keys]


def test_numbers_are_strings_in_json(bucket: Any, endpoint: str) -> None:
    bucket.blob("n").upload_from_string(b"abc")
    resource = requests.get(f"{endpoint}/storage/v1/b/{bucket.name}/o/n", timeout=10).json()
    assert {key: type(resource[key]) for key in ("size", "generation", "metageneration")} == dict.fromkeys(
        ("size", "generation", "metageneration"), str
    )
    assert resource["kind"] == "storage#object"


def test_overwrite_creates_a_new_generation_without_old_metadata(bucket: Any) -> None:
    blob = bucket.blob("o")
    blob.metadata = {"k": "v"}
    blob.upload_from_string(b"one")
    first = bucket.get_blob("o")
    first.metadata = {"k": "w"}
    first.patch()
    bucket.blob("o").upload_from_string(b"two")
    second = bucket.get_blob("o")
    assert second.generation > first.generation
    assert second.metageneration == 1
    assert own_metadata(second.metadata) == {}
    assert second.download_as_bytes() == b"two"


def test_metadata_changes_updated_but_not_time_created(bucket: Any) -> None:
    blob = bucket.blob("t")
    blob.upload_from_string(b"one")
    first = bucket.get_blob("t")
    time.sleep(0.02)
    blob.metadata = {"k": "v"}
    blob.patch()
    patched = bucket.get_blob("t")
    assert patched.updated > first.updated
    assert patched.time_created == first.time_created
    assert patched.generation == first.generation
    assert patched.metageneration == 2
    assert patched.etag != first.etag
    time.sleep(0.02)
    bucket.blob("t").upload_from_string(b"two")
    second = bucket.get_blob("t")
    assert second.time_created > patched.updated
    assert second.updated == second.time_created


def test_patch_merges_metadata_and_none_removes_a_key(bucket: Any) -> None:
    blob = bucket.blob("p")
    blob.metadata = {"a": "1", "b": "2"}
    blob.upload_from_string(b"x", content_type="text/plain")
    blob.metadata = {"a": None, "c": "3"}
    blob.patch()
    found = bucket.get_blob("p")
    assert own_metadata(found.metadata) == {"b": "2", "c": "3"}
    assert found.content_type == "text/plain"
    assert found.download_as_bytes() == b"x"


def test_update_replaces_metadata(bucket: Any) -> None:
    blob = bucket.blob("u")
    blob.metadata = {"a": "1", "b": "2"}
    blob.upload_from_string(b"x")
    blob.metadata = {"c": "3"}
    blob.update()
    found = bucket.get_blob("u")
    assert own_metadata(found.metadata) == {"c": "3"}
    assert found.metageneration == 2


def test_only_the_live_generation_exists(bucket: Any, is_foreign: bool) -> None:
    bucket.blob("g").upload_from_string(b"one")
    old = bucket.get_blob("g").generation
    assert bucket.blob("g", generation=old).download_as_bytes() == b"one"
    bucket.blob("g").upload_from_string(b"two")
    if is_foreign and bucket.blob("g", generation=old).exists():
        pytest.skip("this server keeps replaced generations though the bucket has no versioning")
    with pytest.raises(NotFound):
        bucket.blob("g", generation=old).reload()
    with pytest.raises(NotFound):
        bucket.blob("g", generation=old).download_as_bytes()
    with pytest.raises(NotFound):
        bucket.blob("g", generation=old).delete()
    assert bucket.blob("g").download_as_bytes() == b"two"
