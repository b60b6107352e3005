"""Batches and the client's loops over many objects, from the client's side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.api_core.exceptions import BadRequest, NotFound, PreconditionFailed

if TYPE_CHECKING:
    from google.cloud import storage


def _put(bucket: Any, name: str) -> int:
    blob = bucket.blob(name)
    blob.upload_from_string(b"x")
    return int(blob.generation)


def _delete_in_a_batch(client: storage.Client, bucket: Any, names: list[str]) -> None:
    with client.batch():
        for name in names:
            bucket.delete_blob(name)


@pytest.mark.usefixtures("needs_batch")
def test_every_call_of_a_batch_has_its_status(client: storage.Client, bucket: Any) -> None:
    kept = _put(bucket, "kept")
    _put(bucket, "gone/a b%+☁")
    with client.batch(raise_exception=False) as batch:
        bucket.delete_blob("gone/a b%+☁")
        bucket.delete_blob("never-there")
        bucket.delete_blob("kept", if_generation_match=kept + 1)
    answers = batch._responses
    assert [answer.status_code for answer in answers] == [204, 404, 412]
    assert answers[1].json()["error"]["code"] == 404
    assert answers[2].json()["error"]["code"] == 412
    assert [blob.name for blob in client.list_blobs(bucket)] == ["kept"]


@pytest.mark.usefixtures("needs_batch")
def test_batch_that_raises_executes_the_other_calls(client: storage.Client, bucket: Any) -> None:
    _put(bucket, "a")
    _put(bucket, "b")
    with pytest.raises(NotFound):
        _delete_in_a_batch(client, bucket, ["a", "never-there", "b"])
    assert list(client.list_blobs(bucket)) == []


@pytest.mark.usefixtures("needs_batch")
def test_patches_in_a_batch(client: storage.Client, bucket: Any) -> None:
    for name in ("a", "b"):
        _put(bucket, name)
    blobs = [bucket.blob(name) for name in ("a", "b")]
    with client.batch():
        for blob in blobs:
            blob.metadata = {"name": blob.name, "umlaut": "ä"}
            blob.patch()
    assert [blob.metageneration for blob in blobs] == [2, 2]
    assert bucket.get_blob("b").metadata == {"name": "b", "umlaut": "ä"}


@pytest.mark.usefixtures("needs_batch")
def test_batch_is_limited_to_a_hundred_calls(client: storage.Client, bucket: Any) -> None:
    for number in range(100):
        _put(bucket, f"n{number}")
    with pytest.raises(BadRequest):
        _delete_in_a_batch(client, bucket, [f"n{number}" for number in range(101)])
    assert len(list(client.list_blobs(bucket))) == 100
    with client.batch(raise_exception=False) as batch:
        for number in range(100):
            bucket.delete_blob(f"n{number}")
    assert {answer.status_code for answer in batch._responses} == {204}
    assert list(client.list_blobs(bucket)) == []


def test_delete_blobs_with_generations(client: storage.Client, bucket: Any) -> None:
    generations = {name: _put(bucket, name) for name in ("a", "b")}
    replaced = _put(bucket, "c")
    _put(bucket, "c")
    missing: list[Any] = []
    bucket.delete_blobs(
        [bucket.blob("a"), bucket.blob("never-there")],
        on_error=missing.append,
        if_generation_match=[generations["a"], 17],
    )
    assert [blob.name for blob in missing] == ["never-there"]
    with pytest.raises(PreconditionFailed):
        bucket.delete_blobs([bucket.blob("c")], if_generation_match=[replaced])
    assert [blob.name for blob in client.list_blobs(bucket)] == ["b", "c"]
