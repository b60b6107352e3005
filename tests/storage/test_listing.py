"""Listings and metadata, with few requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.contracts.errors import BucketNotFoundError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import PAGE_SIZE, Store
from cloudseg_ops.storage._listing import Page, find_by_listing
from gcs_emulator import Emulator
from tests.conftest import Buckets
from tests.storage.conftest import Counter
from tests.support.samples import described, names_in, put_inputs


def test_an_object_is_described_as_it_was_written(store: Store, uri: GcsUri) -> None:
    written = store.write(uri, b"abc", content_type="text/plain", metadata={"cloudseg-x": "größe"})
    found = store.stat(uri)
    assert found == written
    assert found is not None
    assert (found.bucket, found.name, found.size) == (uri.bucket, uri.name, 3)
    assert found.crc32c == "Nks/tw=="  # CRC32C of "abc" is 0x364b3fb7
    assert found.metadata == {"cloudseg-x": "größe"}
    assert found.updated.tzinfo is not None
    assert store.stat(GcsUri(uri.bucket, "nothing")) is None


def test_a_listing_gives_the_same_description(store: Store, uri: GcsUri) -> None:
    written = store.write(uri, b"abc", metadata={"cloudseg-x": "y"})
    assert list(store.list_objects(GcsUri(uri.bucket))) == [written]


def test_a_listing_is_in_byte_order_under_a_prefix_and_within_offsets(store: Store, buckets: Buckets) -> None:
    # U+10000 comes after U+FFFD by code point and UTF-8, before it by UTF-16.
    names = ["a", "a/1", "a/2", "a0", "b", "é", "\ufffd", "\U00010000"]
    put_inputs(store, buckets.input, reversed(names))
    folder = GcsUri(buckets.input)
    assert names_in(store, buckets.input) == names
    assert names_in(store, buckets.input, "a/") == ["a/1", "a/2"]
    assert [info.name for info in store.list_objects(folder, start="a/2", end="é")] == ["a/2", "a0", "b"]


def test_listing_a_missing_bucket_raises(store: Store) -> None:
    with pytest.raises(BucketNotFoundError, match=r"list gs://nowhere-1: there is no such bucket; .*CLOUDSEG_"):
        list(store.list_objects(GcsUri("nowhere-1")))


def _stat_names(store: Store, bucket: str, names: list[str]) -> set[str]:
    found = store.stat_many(bucket, names)
    assert all(info.name == name for name, info in found.items())
    return set(found)


def test_existing_objects_are_found_in_any_order(store: Store, buckets: Buckets) -> None:
    there = {info.name: info.generation for info in put_inputs(store, buckets.input, ["c", "a", "e/f", "é"])}
    found = store.stat_many(buckets.input, ["é", "b", "e/f", "a", "z", "a", "c"])
    assert {name: info.generation for name, info in found.items()} == there


def test_no_names_make_no_request(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    calls = Counter(emulator)
    assert store.stat_many(buckets.input, []) == {}
    assert calls["objects.list"] == calls["objects.get"] == 0


def test_names_are_found_although_a_suffix_changes_their_order(store: Store, buckets: Buckets) -> None:
    # a.jpg < a.jpg-2.jpg, but a.jpg-2.jpg.mask.png < a.jpg.mask.png.
    names = ["a.jpg", "a.jpg-2.jpg", "a.jpg.jpg", "a.jpg0.jpg"]
    for suffix in ("", ".mask.png"):
        put_inputs(store, buckets.output, [name + suffix for name in names])
        assert _stat_names(store, buckets.output, [name + suffix for name in names]) == {
            name + suffix for name in names
        }


def test_one_name_and_the_last_name_are_within_the_range(store: Store, buckets: Buckets) -> None:
    put_inputs(store, buckets.input, ["a", "ab", "b"])
    assert _stat_names(store, buckets.input, ["a"]) == {"a"}
    assert _stat_names(store, buckets.input, ["a", "b"]) == {"a", "b"}
    assert _stat_names(store, buckets.input, ["zz"]) == set()


def test_a_thousand_adjacent_names_take_at_most_two_requests(
    store: Store, buckets: Buckets, emulator: Emulator
) -> None:
    names = [f"{number:05d}.jpg" for number in range(PAGE_SIZE)]
    put_inputs(store, buckets.input, names)
    calls = Counter(emulator)
    assert _stat_names(store, buckets.input, [*names, "00000.jpg-missing"]) == set(names)
    assert calls["objects.list"] <= 2
    assert calls["objects.get"] == 0


def test_many_objects_between_the_names_are_not_all_listed(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    others = [f"m{number:05d}" for number in range(PAGE_SIZE + 200)]
    put_inputs(store, buckets.input, ["a", "z", *others])
    calls = Counter(emulator)
    # Names before the others, the last one within the budget, one beyond it, and one that does not exist.
    names = ["a", others[PAGE_SIZE - 2], others[PAGE_SIZE - 1], others[-1], "m00007-missing", "y", "z"]
    assert _stat_names(store, buckets.input, names) == set(names) - {"m00007-missing", "y"}
    assert calls["objects.list"] == 1
    assert 1 <= calls["objects.get"] <= 4


def test_stat_many_in_a_missing_bucket_raises(store: Store) -> None:
    with pytest.raises(BucketNotFoundError):
        store.stat_many("nowhere-1", ["a"])


def test_a_name_of_maximum_length_is_found(store: Store, buckets: Buckets) -> None:
    longest = "a" * 1024
    put_inputs(store, buckets.input, [longest])
    assert _stat_names(store, buckets.input, [longest]) == {longest}


class Listed:
    """A bucket with small pages, which records what was requested."""

    def __init__(self, names: set[str], size: int) -> None:
        self._names = sorted(names, key=str.encode)
        self._size = size
        self.pages: list[list[str]] = []

    def __call__(self, start: str, end: str) -> Page:
        inside = [name for name in self._names if start.encode() <= name.encode() < end.encode()]
        shown = inside[: self._size]
        self.pages.append(shown)
        return Page([described(name) for name in shown], "more" if len(inside) > len(shown) else None)


def test_objects_between_two_groups_of_names_are_not_listed() -> None:
    """Today's masks of every station, between those of all previous days."""
    there = {f"station-{station}/{number:05d}" for station in range(5) for number in range(3000)}
    wanted = [f"station-{station}/{number:05d}" for station in range(5) for number in range(2900, 3000)]
    bucket = Listed(there, PAGE_SIZE)
    found, rest = find_by_listing(wanted, bucket)
    assert (sorted(found), rest) == (wanted, [])
    assert len(bucket.pages) == 5


def test_many_small_groups_take_a_page_each() -> None:
    there = {f"{station:02d}/{number:05d}" for station in range(50) for number in range(1500)}
    wanted = [f"{station:02d}/{number:05d}" for station in range(50) for number in range(700, 720)]
    bucket = Listed(there, PAGE_SIZE)
    found, rest = find_by_listing(wanted, bucket)
    assert (sorted(found), rest) == (wanted, [])
    assert len(bucket.pages) <= 50


def test_one_distant_name_does_not_end_the_listing() -> None:
    there = {f"{number:06d}" for number in range(20_000)}
    wanted = ["000000", *(f"{number:06d}" for number in range(10_000, 10_999))]
    found, rest = find_by_listing(wanted, bucket := Listed(there, PAGE_SIZE))
    assert (sorted(found), rest) == (wanted, [])
    assert len(bucket.pages) == 2


def test_names_too_far_apart_are_left_to_be_checked() -> None:
    there = {f"{number:06d}" for number in range(100_000)}
    wanted = [f"{number:06d}" for number in range(0, 100_000, 500)]
    bucket = Listed(there, PAGE_SIZE)
    found, rest = find_by_listing(wanted, bucket)
    assert len(bucket.pages) == 2
    assert [*found, *rest] == wanted
    assert len(found) == 4


def test_an_empty_page_that_is_not_the_last_one_proves_nothing_absent() -> None:
    found, rest = find_by_listing(["a", "b"], lambda start, end: Page([], "more"))
    assert (found, rest) == ({}, ["a", "b"])


some_names = st.sets(st.text("ab/é\U00010000", min_size=1, max_size=4), max_size=40)


@given(some_names, some_names, st.integers(1, 5))
def test_every_name_is_found_absent_or_left_to_be_checked(there: set[str], requested: set[str], size: int) -> None:
    wanted = sorted(requested, key=str.encode)
    found, rest = find_by_listing(wanted, Listed(there, size))
    assert set(found) <= there
    assert set(found).isdisjoint(rest)
    for name in requested - set(found) - set(rest):
        assert name not in there
