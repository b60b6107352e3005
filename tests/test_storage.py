"""The storage seam against the emulator, over HTTP: what the client does not promise by itself."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cloudseg_ops.errors import (
    BucketNotFoundError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    StorageError,
)
from cloudseg_ops.local.emulator import Emulator, Fault
from cloudseg_ops.storage import BATCH_SIZE, PAGE_SIZE, Deletion, Store
from cloudseg_ops.uris import GcsUri
from tests.conftest import Buckets
from tests.samples import names_in, put_inputs

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _no_faults_left(emulator: Emulator) -> Iterator[None]:
    yield
    pending = emulator.faults.pending()
    emulator.faults.clear()
    assert pending == [], "a fault that was switched on never came about: the test did not test it"


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Garbage is collected when the test says so: elsewhere it could be in the emulator's own thread."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def uri(buckets: Buckets) -> GcsUri:
    return GcsUri(buckets.staging, "a folder/Größe 1#2?.jsonl")


class Counter:
    """Calls of the emulator since the last look."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._before = emulator.calls()

    def __getitem__(self, call: str) -> int:
        return self._emulator.calls().get(call, 0) - self._before.get(call, 0)


# --- looking


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


def test_the_listing_of_a_bucket_that_is_not_there(store: Store) -> None:
    with pytest.raises(BucketNotFoundError, match=r"list gs://nowhere-1: there is no such bucket; .*CLOUDSEG_"):
        list(store.list_objects(GcsUri("nowhere-1")))


# --- looking at many


def _look(store: Store, bucket: str, names: list[str]) -> set[str]:
    found = store.stat_many(bucket, names)
    assert all(info.name == name for name, info in found.items())
    return set(found)


def test_those_that_are_there_are_found_whatever_the_order(store: Store, buckets: Buckets) -> None:
    there = {info.name: info.generation for info in put_inputs(store, buckets.input, ["c", "a", "e/f", "é"])}
    found = store.stat_many(buckets.input, ["é", "b", "e/f", "a", "z", "a", "c"])
    assert {name: info.generation for name, info in found.items()} == there


def test_no_names_ask_for_nothing(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    calls = Counter(emulator)
    assert store.stat_many(buckets.input, []) == {}
    assert calls["objects.list"] == calls["objects.get"] == 0


def test_names_whose_order_a_suffix_changes(store: Store, buckets: Buckets) -> None:
    # a.jpg < a.jpg-2.jpg, but a.jpg-2.jpg.mask.png < a.jpg.mask.png.
    names = ["a.jpg", "a.jpg-2.jpg", "a.jpg.jpg", "a.jpg0.jpg"]
    for suffix in ("", ".mask.png"):
        put_inputs(store, buckets.output, [name + suffix for name in names])
        assert _look(store, buckets.output, [name + suffix for name in names]) == {name + suffix for name in names}


def test_one_name_and_the_last_name_are_within_the_range(store: Store, buckets: Buckets) -> None:
    put_inputs(store, buckets.input, ["a", "ab", "b"])
    assert _look(store, buckets.input, ["a"]) == {"a"}
    assert _look(store, buckets.input, ["a", "b"]) == {"a", "b"}
    assert _look(store, buckets.input, ["zz"]) == set()


def test_a_thousand_neighbors_take_two_requests_at_most(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    names = [f"{number:05d}.jpg" for number in range(PAGE_SIZE)]
    put_inputs(store, buckets.input, names)
    calls = Counter(emulator)
    assert _look(store, buckets.input, [*names, "00000.jpg-missing"]) == set(names)
    assert calls["objects.list"] <= 2
    assert calls["objects.get"] == 0


def test_many_others_in_between_are_not_all_listed(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    others = [f"m{number:05d}" for number in range(PAGE_SIZE + 200)]
    put_inputs(store, buckets.input, ["a", "z", *others])
    calls = Counter(emulator)
    # Before the others, the last one that the budget reaches, beyond it, and not there at all.
    names = ["a", others[PAGE_SIZE - 2], others[PAGE_SIZE - 1], others[-1], "m00007-missing", "y", "z"]
    assert _look(store, buckets.input, names) == set(names) - {"m00007-missing", "y"}
    assert calls["objects.list"] == 1
    assert 1 <= calls["objects.get"] <= 4


def test_looking_at_many_in_a_bucket_that_is_not_there(store: Store) -> None:
    with pytest.raises(BucketNotFoundError):
        store.stat_many("nowhere-1", ["a"])


def test_a_name_of_the_greatest_length_is_found(store: Store, buckets: Buckets) -> None:
    longest = "a" * 1024
    put_inputs(store, buckets.input, [longest])
    assert _look(store, buckets.input, [longest]) == {longest}


# --- reading


def test_exactly_that_generation_is_read(store: Store, uri: GcsUri) -> None:
    old = store.write(uri, b"old").generation
    assert store.read(uri, generation=old) == b"old"
    new = store.write(uri, b"new").generation
    assert store.read(uri) == store.read(uri, generation=new) == b"new"
    with pytest.raises(ObjectNotFoundError, match=f"#{old}: it is not there"):
        store.read(uri, generation=old)


def test_what_is_not_there_cannot_be_read(store: Store, uri: GcsUri) -> None:
    with pytest.raises(ObjectNotFoundError):
        store.read(uri)
    with pytest.raises(ObjectNotFoundError):
        list(store.read_lines(uri))


def test_a_missing_object_is_no_missing_bucket_whatever_its_name_is(store: Store) -> None:
    # The commonest names of buckets hold the word itself, and Cloud Storage's message holds the name.
    store.create_bucket("the-input-bucket")
    with pytest.raises(ObjectNotFoundError):
        store.read(GcsUri("the-input-bucket", "a.jpg"))
    with pytest.raises(ObjectNotFoundError):
        store.copy(GcsUri("the-input-bucket", "a.jpg"), 7, GcsUri("the-input-bucket", "b.jpg"), metadata={})


def test_a_missing_object_named_after_a_bucket_is_a_missing_object(store: Store, buckets: Buckets) -> None:
    with pytest.raises(ObjectNotFoundError):
        store.read(GcsUri(buckets.input, "bucket.jpg"))


def test_a_missing_bucket_is_told_on_every_call(store: Store, buckets: Buckets, tmp_path: Path) -> None:
    nowhere = GcsUri("nowhere-1", "a")
    there = store.write(GcsUri(buckets.input, "a"), b"x")
    (tmp_path / "x").write_bytes(b"x")
    calls: list[Any] = [
        lambda: store.read(nowhere),
        lambda: store.write(nowhere, b"x"),
        lambda: store.write(nowhere, b"x", if_generation_match=0),
        lambda: store.write_file(nowhere, tmp_path / "x"),
        lambda: store.write_lines(nowhere, ["x"]),
        lambda: store.copy(GcsUri(buckets.input, "a"), there.generation, nowhere, metadata={}),
    ]
    for call in calls:
        with pytest.raises(BucketNotFoundError, match="gs://nowhere-1"):
            call()
    with pytest.raises(StorageError, match="gs://nowhere-1"):
        list(store.read_lines(nowhere))


# --- writing


def test_a_write_with_a_precondition(store: Store, uri: GcsUri) -> None:
    first = store.write(uri, b"1", if_generation_match=0)
    with pytest.raises(PreconditionFailedError, match="another generation is there by now"):
        store.write(uri, b"2", if_generation_match=0)
    second = store.write(uri, b"3", if_generation_match=first.generation)
    assert second.generation > first.generation
    with pytest.raises(PreconditionFailedError):
        store.write(uri, b"4", if_generation_match=first.generation)
    assert store.read(uri) == b"3"


def test_a_file_with_a_precondition(store: Store, uri: GcsUri, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"weights" * 100_000)
    first = store.write_file(uri, path, if_generation_match=0)
    assert first.size == 700_000
    with pytest.raises(PreconditionFailedError):
        store.write_file(uri, path, if_generation_match=0)
    assert store.read(uri) == path.read_bytes()


LINES = {
    "none": [],
    "one": ["{}"],
    "empty ones": ["", "", ""],
    "not ASCII": ["größe", "☁️" * 10, "a\u2028b\x85c\x0bd"],
    "longer than a chunk": ["a" * (MIB + 1), "é" * MIB, "end"],
    "one chunk exactly": ["x" * (MIB - 1)],
    "two chunks exactly": ["x" * (MIB - 1)] * 2,
    "one byte less": ["x" * (MIB - 2)],
    "one byte more": ["x" * MIB],
    "a character across the border": ["x" * (MIB - 1) + "é" + "y" * MIB + "☁" * 700_000],
    "many": [f"line {number}" for number in range(150_000)],
}


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_lines_are_read_as_they_were_written(store: Store, uri: GcsUri, lines: list[str]) -> None:
    store.write_lines(uri, iter(lines))
    assert list(store.read_lines(uri)) == lines
    assert store.read(uri) == "".join(line + "\n" for line in lines).encode()


def test_a_last_line_without_an_end_counts(store: Store, uri: GcsUri) -> None:
    store.write(uri, b"a\nb")
    assert list(store.read_lines(uri)) == ["a", "b"]


def test_lines_stream(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    store.write_lines(uri, ("x" * 1023 for _ in range(5 * 1024)))
    calls = Counter(emulator)
    lines = store.read_lines(uri)
    next(lines)
    downloads = calls["objects.download"]
    assert len(list(lines)) == 5 * 1024 - 1
    assert downloads < calls["objects.download"], "all of it was downloaded for the first line"


def test_lines_that_are_replaced_while_they_are_read_are_no_mixture(store: Store, uri: GcsUri) -> None:
    store.write_lines(uri, ["old" * 100] * 10_000)
    lines = store.read_lines(uri)
    next(lines)
    store.write_lines(uri, ["new" * 100] * 10_000)
    with pytest.raises(ObjectNotFoundError):
        list(lines)


@pytest.mark.parametrize("size", [10, MIB // 2, 3 * MIB], ids=["small", "half a chunk", "three chunks"])
def test_lines_with_a_precondition(store: Store, uri: GcsUri, size: int) -> None:
    store.write_lines(uri, ["first"], if_generation_match=0)
    with pytest.raises(PreconditionFailedError):
        store.write_lines(uri, ["x" * 1000] * (size // 1000 + 1), if_generation_match=0)
    assert store.read(uri) == b"first\n"


def test_of_two_writers_of_the_same_lines_one_is_told(store: Store, uri: GcsUri) -> None:
    def raced() -> Iterator[str]:
        yield "x" * 2 * MIB
        store.write(uri, b"the other one", if_generation_match=0)
        yield "y"

    with pytest.raises(PreconditionFailedError):
        store.write_lines(uri, raced(), if_generation_match=0)
    assert store.read(uri) == b"the other one"


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
def test_lines_that_break_off_leave_no_object(store: Store, uri: GcsUri, size: int) -> None:
    def broken() -> Iterator[str]:
        if size:
            yield "x" * size
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write_lines(uri, broken())
    assert store.stat(uri) is None


def test_lines_that_break_off_leave_the_object_before_as_it_was(store: Store, uri: GcsUri) -> None:
    store.write_lines(uri, ["whole"])

    def broken() -> Iterator[str]:
        yield "x" * 3 * MIB
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write_lines(uri, broken())
    assert list(store.read_lines(uri)) == ["whole"]


def test_lines_that_were_refused_are_not_written_later(store: Store, uri: GcsUri, no_collection: None) -> None:
    """The client's stream tries again when it is collected, unless it was closed: long after the caller was told no."""
    first = store.write(uri, b"first", if_generation_match=0)
    with pytest.raises(PreconditionFailedError) as raised:
        store.write_lines(uri, ["second"], if_generation_match=0)
    assert store.delete_many(uri.bucket, [(uri.name, first.generation)]) == [Deletion.DELETED]
    del raised
    gc.collect()
    assert store.stat(uri) is None


def test_lines_that_break_off_are_not_written_later(
    store: Store, uri: GcsUri, emulator: Emulator, no_collection: None
) -> None:
    def broken() -> Iterator[str]:
        yield "x" * MIB
        yield "y"
        raise ZeroDivisionError

    before = emulator.calls()
    with pytest.raises(ZeroDivisionError) as raised:
        store.write_lines(uri, broken())
    del raised
    gc.collect()
    assert emulator.calls() == before
    assert store.stat(uri) is None


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 3 * MIB])
def test_lines_of_any_length_against_the_size_of_a_request(store: Store, uri: GcsUri, size: int) -> None:
    store.write_lines(uri, ["x" * (size - 1)])
    info = store.stat(uri)
    assert info is not None
    assert info.size == size
    assert list(store.read_lines(uri)) == ["x" * (size - 1)]


# --- copying


def test_a_copy_is_of_exactly_that_generation_with_new_metadata(store: Store, buckets: Buckets) -> None:
    source, target = GcsUri(buckets.input, "a.jpg"), GcsUri(buckets.output, "archive/a.jpg")
    old = store.write(source, b"photograph", content_type="image/jpeg", metadata={"owner": "somebody"})
    store.copy(source, old.generation, target, metadata={"cloudseg-x": "y"})
    found = store.stat(target)
    assert found is not None
    assert (found.size, found.crc32c, found.metadata) == (old.size, old.crc32c, {"cloudseg-x": "y"})
    new = store.write(source, b"another")
    with pytest.raises(ObjectNotFoundError, match=f"copy gs://{buckets.input}/a.jpg#{old.generation} to gs://"):
        store.copy(source, old.generation, target, metadata={})
    assert store.read(target) == b"photograph"
    with pytest.raises(PreconditionFailedError):
        store.copy(source, new.generation, target, metadata={}, if_generation_match=0)
    assert store.read(target) == b"photograph"


def test_a_copy_of_what_is_gone(store: Store, buckets: Buckets) -> None:
    with pytest.raises(ObjectNotFoundError):
        store.copy(GcsUri(buckets.input, "gone"), 7, GcsUri(buckets.output, "x"), metadata={})
    assert store.stat(GcsUri(buckets.output, "x")) is None


# --- deleting many


def test_what_became_of_each_delete_in_order(store: Store, buckets: Buckets) -> None:
    put = {info.name: info for info in put_inputs(store, buckets.input, ["a", "b", "c", "Größe #1?.jpg"])}
    replaced = store.write(GcsUri(buckets.input, "b"), b"newer")
    versions = [("c", put["c"].generation), ("gone", 7), ("b", put["b"].generation),
                ("Größe #1?.jpg", put["Größe #1?.jpg"].generation)]  # fmt: skip
    assert store.delete_many(buckets.input, versions) == [
        Deletion.DELETED, Deletion.GONE, Deletion.CHANGED, Deletion.DELETED,
    ]  # fmt: skip
    assert names_in(store, buckets.input) == ["a", "b"]
    assert store.read(GcsUri(buckets.input, "b"), generation=replaced.generation) == b"newer"


def test_nothing_to_delete_asks_for_nothing(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    calls = Counter(emulator)
    assert store.delete_many(buckets.input, []) == []
    assert calls["batch"] == 0


def test_at_most_a_hundred_deletes_a_request(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    versions = [(info.name, info.generation) for info in put_inputs(store, buckets.input, map(str, range(250)))]
    calls = Counter(emulator)
    assert store.delete_many(buckets.input, iter(versions)) == [Deletion.DELETED] * 250
    assert (calls["batch"], calls["objects.delete"]) == (3, 250)
    assert BATCH_SIZE == 100


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_deletes_that_are_put_off_are_asked_for_again(
    store: Store, buckets: Buckets, emulator: Emulator, status: int
) -> None:
    put = put_inputs(store, buckets.input, [f"{number:02d}" for number in range(20)])
    put_inputs(store, buckets.input, ["07"])
    emulator.faults.add(Fault(status=status, method="DELETE", path=f"/b/{buckets.input}/o/", times=8))
    outcomes = store.delete_many(buckets.input, [(info.name, info.generation) for info in put])
    assert outcomes == [Deletion.CHANGED if info.name == "07" else Deletion.DELETED for info in put]
    assert names_in(store, buckets.input) == ["07"]


def test_a_batch_that_is_put_off_as_a_whole_is_asked_for_again(
    store: Store, buckets: Buckets, emulator: Emulator
) -> None:
    put = put_inputs(store, buckets.input, ["a", "b"])
    emulator.faults.add(Fault(status=503, method="POST", path="/batch", times=2))
    outcomes = store.delete_many(buckets.input, [(info.name, info.generation) for info in put])
    assert outcomes == [Deletion.DELETED, Deletion.DELETED]


@pytest.mark.parametrize(("action", "outcome"), [("cut_before", Deletion.DELETED), ("cut_after", Deletion.GONE)])
def test_a_batch_whose_connection_is_cut_is_asked_for_again(
    store: Store, buckets: Buckets, emulator: Emulator, action: Any, outcome: Deletion
) -> None:
    put = put_inputs(store, buckets.input, ["a", "b"])
    emulator.faults.add(Fault(action=action, method="POST", path="/batch"))
    outcomes = store.delete_many(buckets.input, [(info.name, info.generation) for info in put])
    assert outcomes == [outcome, outcome]
    assert names_in(store, buckets.input) == []


def test_a_newer_upload_survives_a_repeated_batch(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    (old,) = put_inputs(store, buckets.input, ["a"])
    emulator.faults.add(Fault(action="cut_after", method="POST", path="/batch"))
    uploads = iter([True])
    send = store._client._http.request

    def request(*arguments: Any, **options: Any) -> Any:
        try:
            return send(*arguments, **options)
        except requests.ConnectionError:
            # Right between the first request, which has deleted, and its repetition.
            if next(uploads, False):
                Store(emulator.client()).write(GcsUri(buckets.input, "a"), b"newer")
            raise

    store._client._http.request = request
    assert store.delete_many(buckets.input, [("a", old.generation)]) == [Deletion.CHANGED]
    assert store.read(GcsUri(buckets.input, "a")) == b"newer"


def test_a_refused_delete_is_told(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    put = put_inputs(store, buckets.input, ["a", "b", "c"])
    emulator.faults.add(Fault(status=403, method="DELETE", path="/o/b"))
    with pytest.raises(PermissionDeniedError, match=f"delete 3 objects of gs://{buckets.input}: refused .*roles"):
        store.delete_many(buckets.input, [(info.name, info.generation) for info in put])
    assert "b" in names_in(store, buckets.input)


# --- transient faults


def test_a_write_whose_answer_was_lost_is_repeated(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    emulator.faults.add(Fault(action="cut_after", method="POST", path="/upload/"))
    found = store.write(uri, b"x")
    assert store.stat(uri) == found
    assert store.read(uri) == b"x"


@pytest.mark.parametrize("action", ["cut_before", "cut_after", "status"])
@pytest.mark.parametrize("method", ["POST", "PUT"], ids=["begin", "send"])
def test_lines_get_over_any_fault(store: Store, uri: GcsUri, emulator: Emulator, method: str, action: Any) -> None:
    emulator.faults.add(Fault(action=action, method=method, path="/upload/"))
    store.write_lines(uri, ["x" * MIB, "y" * MIB], if_generation_match=0)
    assert [len(line) for line in store.read_lines(uri)] == [MIB, MIB]


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(action="cut_after")], ids=["503", "cut"])
def test_every_other_call_gets_over_a_fault(store: Store, buckets: Buckets, emulator: Emulator, fault: Fault) -> None:
    source = GcsUri(buckets.input, "a")
    generation = store.write(source, b"x").generation
    calls: list[Callable[[], Any]] = [
        lambda: store.stat(source),
        lambda: store.read(source),
        lambda: names_in(store, buckets.input),
        lambda: store.copy(source, generation, GcsUri(buckets.output, "a"), metadata={}),
    ]
    for call in calls:
        emulator.faults.add(fault)
        call()
    assert store.read(GcsUri(buckets.output, "a")) == b"x"


def test_a_refusal_names_the_roles(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    for status in (401, 403):
        emulator.faults.add(Fault(status=status, method="GET"))
        with pytest.raises(PermissionDeniedError, match=r"docs/architecture\.md"):
            store.read(uri)


def test_any_other_refusal_is_told_with_what_was_being_done(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=400, method="GET"))
    with pytest.raises(StorageError, match=r"read gs://.*BadRequest"):
        store.read(uri)


# --- connecting


def test_it_connects_to_the_emulator_that_the_environment_names(
    emulator: Emulator, store: Store, uri: GcsUri, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(uri, b"x")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    assert Store.open(connections=3).read(uri) == b"x"


def test_without_any_identity_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(PermissionDeniedError, match="connect to Cloud Storage: refused"):
        Store.open()
