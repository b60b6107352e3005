import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.contracts.errors import ManifestError
from cloudseg_ops.contracts.objects import (
    MAX_NAME_BYTES,
    NOT_AN_IMAGE,
    InputObject,
    is_image_name,
    is_settled,
    prefix_problem,
    select_new,
)
from cloudseg_ops.storage import ObjectInfo
from tests.support.samples import WHEN, version

SETTLE = timedelta(seconds=60)


@given(st.text(min_size=1), st.integers(0, 2**63 - 1), st.integers(0, 2**50), st.text(max_size=8))
def test_line_round_trip(name: str, generation: int, size: int, crc32c: str) -> None:
    item = InputObject(name, generation, size, crc32c)
    line = item.to_line()
    assert "\n" not in line
    assert "\r" not in line
    assert InputObject.from_line(line) == item


def test_line_format() -> None:
    line = version("ä/b.jpg", 7, 1000, "AAAAAA==").to_line()
    assert json.loads(line) == {"name": "ä/b.jpg", "generation": 7, "size": 1000, "crc32c": "AAAAAA=="}
    assert "ä" in line


def test_unknown_keys_are_ignored() -> None:
    line = json.dumps({"name": "a", "generation": 1, "size": 2, "crc32c": "c", "outcome": "done"})
    assert InputObject.from_line(line) == InputObject("a", 1, 2, "c")


@pytest.mark.parametrize(
    "line",
    ["", "  ", "{", "null", "7", "[]", '"name"', "{}", version().to_line()[:-1], version().to_line() * 2,
     '{"name": "a", "generation": 1, "size": 2}',
     '{"name": "a", "generation": "one", "size": 2, "crc32c": "c"}',
     '{"name": "a", "generation": null, "size": 2, "crc32c": "c"}',
     '{"name": "a", "generation": 1, "size": {}, "crc32c": "c"}',
     '{"name": "a", "generation": Infinity, "size": 2, "crc32c": "c"}',
     '{"name": "a", "generation": NaN, "size": 2, "crc32c": "c"}'],
)  # fmt: skip
def test_damaged_line_is_a_manifest_error_showing_it(line: str) -> None:
    with pytest.raises(ManifestError) as raised:
        InputObject.from_line(line)
    assert repr(line[:200]) in str(raised.value)


def test_long_line_is_truncated_in_the_message() -> None:
    with pytest.raises(ManifestError) as raised:
        InputObject.from_line("x" * 100_000)
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.JPG", "a/b.c.jpeg", "a.png", "a.mask.jpg", "mask.png", "a.tif", ".jpg", "x.mask.png.jpg"]
)
def test_image_names(name: str) -> None:
    assert is_image_name(name)


@pytest.mark.parametrize(
    "name", ["a.jpg.mask.png", "a", "a.txt", "a.jpg/", "a.jpg/readme", "jpg", "a.jpg ", "", "a.", "a.jpg.part"]
)
def test_other_names_are_not_images(name: str) -> None:
    assert not is_image_name(name)


def test_object_settles_at_the_exact_second() -> None:
    assert is_settled(WHEN, WHEN + SETTLE, SETTLE)
    assert not is_settled(WHEN, WHEN + SETTLE - timedelta(microseconds=1), SETTLE)
    assert is_settled(WHEN, WHEN, timedelta(0))
    # A clock behind that of Cloud Storage must not make an upload settled.
    assert not is_settled(WHEN + timedelta(seconds=5), WHEN, timedelta(0))


def _listed(name: str, age: float) -> ObjectInfo:
    return ObjectInfo("in", name, 7, 1, "c", "", WHEN - timedelta(seconds=age))


def test_settled_images_are_selected() -> None:
    left: dict[str, str] = {}
    listed = [_listed("b.jpg", 61), _listed("a.jpg", 59), _listed("notes.txt", 999), _listed("c.gif", 999),
              _listed("c.PNG", 60)]  # fmt: skip
    taken = list(select_new(listed, now=WHEN, settle=SETTLE, on_left=left.__setitem__))
    assert [item.name for item in taken] == ["b.jpg", "c.PNG"]
    assert left == {
        "a.jpg": "it has not settled yet; the next run takes it",
        "notes.txt": NOT_AN_IMAGE,
        "c.gif": NOT_AN_IMAGE,
    }
    assert taken[0] == InputObject("b.jpg", 7, 1, "c")


@pytest.mark.parametrize(
    "name",
    ["._a.jpg", "x/._a.jpg", "__MACOSX/x/a.jpg", "x/__MACOSX/a.jpg", "x/Thumbs.db", "x/.DS_Store", "desktop.ini",
     "x/", "a.jpg.mask.png", "x/__MACOSX/._notes.txt"],
)  # fmt: skip
def test_files_of_a_desktop_masks_and_folders_are_left_out_silently(name: str) -> None:
    left: dict[str, str] = {}
    assert list(select_new([_listed(name, 99)], now=WHEN, settle=SETTLE, on_left=left.__setitem__)) == []
    assert left == {}
    young = select_new([_listed(name, 1)], now=WHEN, settle=SETTLE, on_left=left.__setitem__)
    assert (list(young), left) == ([], {})


@pytest.mark.parametrize(
    "name", ["x/._.jpg/a.jpg", "x/MACOSX/a.jpg", "x/my__MACOSX/a.jpg", "a._b.jpg", "Thumbs.db.jpg"]
)
def test_names_that_only_look_like_those_of_a_desktop_are_taken(name: str) -> None:
    assert [item.name for item in select_new([_listed(name, 99)], now=WHEN, settle=SETTLE)] == [name]


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [
        ("", None),
        ("2026/08/", None),
        ("/x/", None),  # unusual, but names may begin like this
        ("é" * 512, None),
        ("é" * 513, f"1026 bytes in UTF-8, and the names of objects have at most {MAX_NAME_BYTES}"),
        ("gs://photos-in/x", "without gs:// and bucket"),
        ("GS://photos-in/x", "without gs:// and bucket"),
        ("a\nb", "on one line"),
        ("a\n", "on one line"),
    ],
)
def test_prefixes_that_no_name_can_begin_with(prefix: str, problem: str | None) -> None:
    found = prefix_problem(prefix)
    assert found is None if problem is None else problem in str(found)


@pytest.mark.parametrize(("letters", "taken"), [(1009, 1), (1010, 0)])
def test_name_too_long_for_its_quarantine_copy_is_skipped(letters: int, taken: int) -> None:
    left: dict[str, str] = {}
    listed = [_listed("é" * (letters // 2) + "x" * (letters % 2) + ".jpg", 99)]
    assert len(list(select_new(listed, now=WHEN, settle=SETTLE, on_left=left.__setitem__))) == taken
    assert ["too long" in reason for reason in left.values()] == [True] * (1 - taken)


def test_image_types_are_configurable() -> None:
    listed = [_listed("a.jpg", 99), _listed("c.gif", 99)]
    assert [item.name for item in select_new(listed, now=WHEN, settle=SETTLE, image_types=["gif"])] == ["c.gif"]


@pytest.mark.parametrize(("most", "expected"), [(None, 5), (0, 0), (1, 1), (5, 5), (6, 5)])
def test_listing_stops_at_the_maximum_number(most: int | None, expected: int) -> None:
    looked: list[str] = []

    def listing() -> "list[ObjectInfo]":
        return [_listed(f"{number}.jpg", 99) for number in range(5)]

    def watched() -> object:
        for item in listing():
            looked.append(item.name)
            yield item

    taken = list(select_new(watched(), now=WHEN, settle=SETTLE, max_objects=most))  # type: ignore[arg-type]
    assert len(taken) == expected
    # A listing of millions must not be read to its end for the first few.
    assert len(looked) <= expected + 1


def test_skipped_objects_do_not_count_towards_the_maximum() -> None:
    listed = [_listed("a.jpg", 1), _listed("b.txt", 99), _listed("c.jpg", 99), _listed("d.jpg", 99)]
    taken = select_new(listed, now=WHEN, settle=SETTLE, max_objects=2)
    assert [item.name for item in taken] == ["c.jpg", "d.jpg"]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a.png"]),
        ("cloudseg", ["a.png"]),
        ("cloudseg-smoke/", ["a.png", "cloudseg-smoke/r.png"]),
        ("cloudseg-smoke/r", ["a.png", "cloudseg-smoke/r.png"]),
    ],
)
def test_smoke_test_photograph_is_only_for_the_smoke_test(prefix: str, expected: list[str]) -> None:
    listed = [_listed("a.png", 100), _listed("cloudseg-smoke/r.png", 100)]
    assert [item.name for item in select_new(listed, now=WHEN, settle=SETTLE, prefix=prefix)] == expected
