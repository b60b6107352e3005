import json

import pytest

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.gallery import labels
from cloudseg_ops.gallery.errors import GalleryError
from cloudseg_ops.gallery.filters import KINDS, Filter
from tests.gallery.runs import done, failed

VERSION = InputObject("a.jpg", 7, 1000, "AAAAAA==")


def result(outcome: Outcome) -> Result:
    return done(VERSION, outcome=outcome) if outcome in KINDS["masked"] else failed(VERSION, outcome, "because")


def test_empty_filter_accepts_everything() -> None:
    assert Filter.parse({}) == Filter.parse({"outcome": "", "chunk": "", "least": " ", "most": ""}) == Filter()
    assert all(Filter().takes(result(outcome)) for outcome in Outcome)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "all"])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_filter_by_outcome(kind: str, outcome: Outcome) -> None:
    wanted = Filter.parse({"outcome": kind})
    one = result(outcome)
    assert wanted.takes(one) == (outcome in KINDS[kind])
    assert wanted.may_match(one.to_line().encode()) == (outcome in KINDS[kind])


def test_name_that_contains_an_outcome_is_not_a_match() -> None:
    wanted = Filter.parse({"outcome": "quarantined"})
    one = done(InputObject('"quarantined"', 7, 1000, "AAAAAA=="))
    assert json.loads(one.to_line())["name"] == '"quarantined"'
    assert not wanted.takes(one)


def test_every_outcome_has_a_choice_and_a_label() -> None:
    assert {outcome.value for outcome in Outcome} <= set(KINDS)
    assert list(labels.KINDS) == list(KINDS)
    assert list(labels.OUTCOMES) == list(Outcome)


@pytest.mark.parametrize(
    ("least", "most", "taken"), [("25", "75", True), ("50", "50", True), ("50.1", "", False), ("", "49", False)]
)
def test_filter_by_cloud_fraction_in_percent(least: str, most: str, taken: bool) -> None:
    assert Filter.parse({"least": least, "most": most}).takes(done(VERSION, 0.5)) == taken


def test_filter_by_cloud_fraction_excludes_images_without_a_mask() -> None:
    assert not Filter.parse({"least": "1"}).takes(result(Outcome.QUARANTINED))
    assert not Filter.parse({"most": "99"}).takes(result(Outcome.VANISHED))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("outcome", "burnt"), ("outcome", "<script>"), ("chunk", "-1"), ("chunk", "1.5"), ("chunk", "one"),
        ("chunk", "1e9"), ("least", "nan"), ("least", "-0.1"), ("most", "101"), ("most", "inf"), ("most", "<b>"),
    ],
)  # fmt: skip
def test_invalid_field_is_reported(field: str, text: str) -> None:
    with pytest.raises(GalleryError, match=f"^{field} = "):
        Filter.parse({field: text})


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"outcome": "quarantined"},
        {"chunk": "12", "least": "2.5"},
        {"outcome": "masked", "chunk": "0", "most": "99"},
    ],
)
def test_query_round_trip(query: dict[str, str]) -> None:
    assert Filter.parse(query).query() == query
