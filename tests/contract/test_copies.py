"""Rewrite, copy and compose from the client's side."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core.exceptions import NotFound, PreconditionFailed

from .answers import own_metadata


def _put(bucket: Any, name: str, content: bytes) -> Any:
    blob = bucket.blob(name)
    blob.metadata = {"k": "v"}
    blob.upload_from_string(content, content_type="image/jpeg")
    return bucket.get_blob(name)


def test_rewrite_copies_content_and_metadata(bucket: Any) -> None:
    source = _put(bucket, "in/a b.jpg", b"photo")
    token, rewritten, size = bucket.blob("quarantine/a b.jpg").rewrite(
        source, if_source_generation_match=source.generation, if_generation_match=0
    )
    assert (token, rewritten, size) == (None, 5, 5)
    copy = bucket.get_blob("quarantine/a b.jpg")
    assert copy.download_as_bytes() == b"photo"
    assert copy.content_type == "image/jpeg"
    assert own_metadata(copy.metadata) == {"k": "v"}
    assert copy.crc32c == source.crc32c
    assert copy.metageneration == 1
    assert copy.generation > source.generation
    source.delete()
    assert bucket.blob("quarantine/a b.jpg").download_as_bytes() == b"photo"


def test_rewrite_checks_preconditions_of_source_and_target(bucket: Any) -> None:
    source = _put(bucket, "s", b"photo")
    target = _put(bucket, "t", b"other")
    source_blob = bucket.blob("s")
    for conditions in (
        {"if_source_generation_match": source.generation + 1},
        {"if_source_metageneration_match": 2},
        {"if_generation_match": 0},
        {"if_generation_match": target.generation + 1},
    ):
        with pytest.raises(PreconditionFailed):
            bucket.blob("t").rewrite(source_blob, **conditions)
    assert bucket.blob("t").download_as_bytes() == b"other"
    with pytest.raises(NotFound):
        bucket.blob("t").rewrite(bucket.blob("none"))
    bucket.blob("t").rewrite(
        source_blob, if_source_generation_match=source.generation, if_generation_match=target.generation
    )
    assert bucket.blob("t").download_as_bytes() == b"photo"


def test_rewrite_with_new_metadata(bucket: Any) -> None:
    source = _put(bucket, "s", b"photo")
    target = bucket.blob("t")
    target.metadata = {"reason": "broken"}
    target.content_type = "text/plain"
    target.rewrite(source)
    found = bucket.get_blob("t")
    assert found.metadata["reason"] == "broken"
    assert found.content_type == "text/plain"


def test_rewrite_onto_itself_creates_a_new_generation(bucket: Any) -> None:
    source = _put(bucket, "s", b"photo")
    bucket.blob("s").rewrite(source)
    found = bucket.get_blob("s")
    assert found.generation > source.generation
    assert found.download_as_bytes() == b"photo"


def test_copy_blob(bucket: Any) -> None:
    source = _put(bucket, "s", b"photo")
    with pytest.raises(PreconditionFailed):
        bucket.copy_blob(source, bucket, "c", if_source_generation_match=source.generation + 1)
    bucket.copy_blob(source, bucket, "c", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.copy_blob(source, bucket, "c", if_generation_match=0)
    assert own_metadata(bucket.get_blob("c").metadata) == {"k": "v"}
    assert bucket.blob("c").download_as_bytes() == b"photo"


def test_compose(bucket: Any, is_foreign: bool) -> None:
    parts = [_put(bucket, f"part{number}", str(number).encode() * 3) for number in range(3)]
    target = bucket.blob("whole")
    target.content_type = "text/plain"
    target.compose(parts, if_generation_match=0)
    found = bucket.get_blob("whole")
    assert found.download_as_bytes() == b"000111222"
    assert found.content_type == "text/plain"
    if not is_foreign:  # storage-testbench returns no count, but an MD5
        assert found.component_count == 3
        assert found.md5_hash is None
    with pytest.raises(PreconditionFailed):
        bucket.blob("whole").compose(parts, if_generation_match=0)


def test_move_blob(bucket: Any, is_foreign: bool) -> None:
    source = _put(bucket, "in/s", b"photo")
    _put(bucket, "t", b"other")
    with pytest.raises(PreconditionFailed):
        bucket.move_blob(source, "t", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.move_blob(source, "out/s", if_source_generation_match=source.generation + 1)
    assert bucket.blob("in/s").download_as_bytes() == b"photo"
    # storage-testbench also checks the target's precondition on the source.
    fresh = {} if is_foreign else {"if_generation_match": 0}
    bucket.move_blob(source, "out/s", if_source_generation_match=source.generation, **fresh)
    assert bucket.get_blob("in/s") is None
    moved = bucket.get_blob("out/s")
    assert moved.download_as_bytes() == b"photo"
    assert own_metadata(moved.metadata) == {"k": "v"}
    assert moved.generation > source.generation
    bucket.move_blob(moved, "t")
    assert bucket.blob("t").download_as_bytes() == b"photo"
