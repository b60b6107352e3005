"""Generation and metageneration preconditions, without and with concurrent writers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.api_core.exceptions import NotFound, NotModified, PreconditionFailed

from .answers import own_metadata


def _put(bucket: Any, name: str, content: bytes = b"x") -> int:
    blob = bucket.blob(name)
    blob.upload_from_string(content)
    return int(blob.generation)


def test_generation_zero_requires_that_no_object_exists(bucket: Any) -> None:
    bucket.blob("z").upload_from_string(b"one", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.blob("z").upload_from_string(b"two", if_generation_match=0)
    assert bucket.blob("z").download_as_bytes() == b"one"
    bucket.blob("z").delete()
    bucket.blob("z").upload_from_string(b"three", if_generation_match=0)
    assert bucket.blob("z").download_as_bytes() == b"three"


def test_upload_on_another_generation_changes_nothing(bucket: Any) -> None:
    generation = _put(bucket, "u", b"one")
    with pytest.raises(PreconditionFailed):
        bucket.blob("u").upload_from_string(b"two", if_generation_match=generation + 1)
    with pytest.raises(PreconditionFailed):
        bucket.blob("not-there").upload_from_string(b"two", if_generation_match=generation)
    assert bucket.blob("u").download_as_bytes() == b"one"
    assert bucket.get_blob("not-there") is None
    bucket.blob("u").upload_from_string(b"two", if_generation_match=generation)
    assert bucket.blob("u").download_as_bytes() == b"two"


def test_delete_of_a_replaced_generation_is_rejected(bucket: Any) -> None:
    old = _put(bucket, "d", b"one")
    new = _put(bucket, "d", b"two")
    with pytest.raises(PreconditionFailed):
        bucket.blob("d").delete(if_generation_match=old)
    assert bucket.blob("d").download_as_bytes() == b"two"
    bucket.blob("d").delete(if_generation_match=new)
    assert bucket.get_blob("d") is None
    with pytest.raises(NotFound):
        bucket.blob("d").delete(if_generation_match=new)


def test_reads_check_preconditions(bucket: Any) -> None:
    generation = _put(bucket, "r")
    blob = bucket.blob("r")
    blob.reload(if_generation_match=generation, if_metageneration_match=1)
    assert blob.download_as_bytes(if_generation_match=generation) == b"x"
    with pytest.raises(PreconditionFailed):
        blob.reload(if_generation_match=generation + 1)
    with pytest.raises(PreconditionFailed):
        blob.reload(if_metageneration_match=2)
    with pytest.raises(PreconditionFailed):
        bucket.blob("r").download_as_bytes(if_generation_match=generation + 1)
    with pytest.raises(PreconditionFailed):
        bucket.blob("r").download_as_bytes(if_metageneration_match=2)


def test_read_of_an_unchanged_object_is_304(bucket: Any) -> None:
    generation = _put(bucket, "n")
    with pytest.raises(NotModified):
        bucket.blob("n").reload(if_generation_not_match=generation)
    with pytest.raises(NotModified):
        bucket.blob("n").reload(if_metageneration_not_match=1)
    with pytest.raises(NotModified):
        bucket.blob("n").download_as_bytes(if_generation_not_match=generation)
    bucket.blob("n").reload(if_generation_not_match=generation + 1, if_metageneration_not_match=2)
    bucket.blob("n").reload(if_generation_not_match=0)


def test_writes_check_not_match_preconditions(bucket: Any) -> None:
    generation = _put(bucket, "w", b"one")
    refused = (PreconditionFailed, NotModified)
    with pytest.raises(refused):
        bucket.blob("w").upload_from_string(b"two", if_generation_not_match=generation)
    with pytest.raises(refused):
        bucket.blob("w").delete(if_generation_not_match=generation)
    with pytest.raises(refused):
        bucket.blob("w").delete(if_metageneration_not_match=1)
    assert bucket.blob("w").download_as_bytes() == b"one"
    bucket.blob("w").upload_from_string(b"two", if_generation_not_match=generation + 1)
    assert bucket.blob("w").download_as_bytes() == b"two"


def test_patch_checks_the_metageneration(bucket: Any) -> None:
    generation = _put(bucket, "p")
    blob = bucket.get_blob("p")
    blob.metadata = {"k": "1"}
    blob.patch(if_metageneration_match=1, if_generation_match=generation)
    stale = bucket.blob("p")
    stale.metadata = {"k": "2"}
    with pytest.raises(PreconditionFailed):
        stale.patch(if_metageneration_match=1)
    with pytest.raises(PreconditionFailed):
        stale.patch(if_generation_match=generation + 1)
    found = bucket.get_blob("p")
    assert own_metadata(found.metadata) == {"k": "1"}
    assert found.metageneration == 2
    with pytest.raises(PreconditionFailed):
        bucket.blob("p").delete(if_metageneration_match=1)
    bucket.blob("p").delete(if_metageneration_match=2)


def test_exactly_one_of_twenty_writers_wins(bucket: Any) -> None:
    def write(number: int) -> int | None:
        try:
            bucket.blob("race").upload_from_string(str(number).encode(), if_generation_match=0)
        except PreconditionFailed:
            return None
        return number

    with ThreadPoolExecutor(20) as pool:
        winners = [number for number in pool.map(write, range(20)) if number is not None]
    assert len(winners) == 1
    assert bucket.blob("race").download_as_bytes() == str(winners[0]).encode()


def test_exactly_one_of_twenty_deleters_wins(bucket: Any) -> None:
    generation = _put(bucket, "race")

    def delete(_: int) -> bool:
        try:
            bucket.blob("race").delete(if_generation_match=generation)
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(delete, range(20))) == 1


def test_compare_and_swap_counter_loses_no_increment(bucket: Any) -> None:
    bucket.blob("counter").upload_from_string(b"0")

    def step(_: int) -> None:
        while True:
            blob = bucket.get_blob("counter")
            try:
                value = int(blob.download_as_bytes(if_generation_match=blob.generation))
                bucket.blob("counter").upload_from_string(str(value + 1).encode(), if_generation_match=blob.generation)
            except (PreconditionFailed, NotFound):
                continue
            return

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(step, range(20)))
    assert bucket.blob("counter").download_as_bytes() == b"20"


def test_generations_of_a_name_increase(bucket: Any) -> None:
    seen = [_put(bucket, "g") for _ in range(10)]
    bucket.blob("g").delete()
    seen.append(_put(bucket, "g"))
    assert seen == sorted(set(seen))
