"""Holds and retention policies keep an object from being deleted or replaced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from google.api_core.exceptions import Forbidden, PreconditionFailed
from google.cloud import storage

from .answers import own_metadata


@contextmanager
def _held(bucket: Any, name: str, kind: str) -> Iterator[Any]:
    """An object under a hold, which is released at the end."""
    blob = bucket.blob(name)
    blob.upload_from_string(b"one")
    setattr(blob, kind, True)
    blob.patch()
    yield blob
    setattr(blob, kind, False)
    blob.patch()


@pytest.mark.parametrize(("kind", "word"), [("temporary_hold", "Temporary"), ("event_based_hold", "Event-Based")])
def test_object_under_a_hold_is_neither_deleted_nor_replaced(bucket: Any, kind: str, word: str) -> None:
    with _held(bucket, "held", kind) as blob:
        with pytest.raises(Forbidden, match=f"under active {word} hold"):
            bucket.blob("held").delete(if_generation_match=blob.generation)
        with pytest.raises(Forbidden, match=f"under active {word} hold"):
            bucket.blob("held").upload_from_string(b"two")
        assert bucket.blob("held").download_as_bytes() == b"one"
        blob.metadata = {"its": "metadata"}
        blob.patch()
        assert own_metadata(bucket.get_blob("held").metadata) == {"its": "metadata"}
    blob.delete()
    assert bucket.get_blob("held") is None


def test_precondition_is_checked_before_a_hold(bucket: Any) -> None:
    with _held(bucket, "held", "temporary_hold") as blob, pytest.raises(PreconditionFailed):
        bucket.blob("held").delete(if_generation_match=blob.generation - 1)


def test_object_is_kept_for_the_retention_period_of_its_bucket(client: storage.Client, bucket: Any) -> None:
    bucket.blob("kept").upload_from_string(b"one")
    bucket.retention_period = int(timedelta(days=1).total_seconds())
    bucket.patch()
    try:
        with pytest.raises(Forbidden, match="retention policy") as refused:
            bucket.blob("kept").delete()
        assert refused.value.errors[0]["reason"] == "retentionPolicyNotMet"
        with pytest.raises(Forbidden, match="retention policy"):
            bucket.blob("kept").upload_from_string(b"two")
        assert bucket.blob("kept").download_as_bytes() == b"one"
    finally:
        bucket.retention_period = None
        bucket.patch()
    bucket.blob("kept").delete()
