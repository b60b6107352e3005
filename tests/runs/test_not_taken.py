import json

import pytest

from cloudseg_ops.contracts.objects import NOT_AN_IMAGE, NOT_SETTLED
from cloudseg_ops.runs.not_taken import MAX_TYPES, NotTaken


def _of(*names: str) -> NotTaken:
    counted = NotTaken()
    for name in names:
        counted.add(name, NOT_AN_IMAGE)
    return counted


def test_one_line_with_the_most_frequent_first() -> None:
    assert str(_of("a.heic", "b.jfif", "x.y/C.HEIC")) == "3 objects not taken: heic (2), jfif (1)"
    assert str(_of("a.heic")) == "1 object not taken: heic (1)"
    assert str(NotTaken()) == "0 objects not taken"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.tar.gz", "gz"), ("a/README", "no extension"), ("a.b/README", "no extension"), ("a.", "other"),
        ("a.<script>", "other"), ("a.jpg ", "other"), ("a.größe", "other"), ("a." + "x" * 13, "other"),
    ],
)  # fmt: skip
def test_kinds(name: str, kind: str) -> None:
    assert dict(_of(name).types) == {kind: 1}


def test_images_by_their_reason() -> None:
    counted = _of("a.gif")
    counted.add("a.jpg", NOT_SETTLED)
    counted.add("b.jpg", NOT_SETTLED)
    counted.add("c.jpg", "its name is 7 bytes too long")
    assert str(counted) == "4 objects not taken: gif (1), not settled yet (2), name too long (1)"
    assert (counted.objects, counted.images) == (4, 3)


def test_memory_is_bounded_and_nothing_is_left_out() -> None:
    counted = _of(*(f"{number}.t{number % 1000}" for number in range(3000)))
    assert len(counted.types) == MAX_TYPES + 1
    assert (counted.objects, counted.types["other"]) == (3000, 3000 - 3 * MAX_TYPES)
    assert len(json.dumps(counted.to_json())) < 1000


def test_json_and_back() -> None:
    counted = _of("a.heic", "b.heic", "c")
    counted.add("a.jpg", NOT_SETTLED)
    fields = json.loads(json.dumps(counted.to_json()))
    assert fields == {"objects": 4, "types": {"heic": 2, "no extension": 1}, "not_settled": 1, "name_too_long": 0}
    assert NotTaken.from_json(fields) == counted


@pytest.mark.parametrize("fields", [None, {}])
def test_an_earlier_release_did_not_count(fields: None) -> None:
    assert NotTaken.from_json(fields) is None
