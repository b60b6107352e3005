from typing import Any

import pytest

from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report.verdict import Level, judge_run, left_behind
from tests.support.report_runs import facts_of, planned

_NONE = {outcome.value: 0 for outcome in Outcome}


def _places(**counts: int) -> dict[str, int]:
    return {"input": 0, "masked": 0, "quarantined": 0, "superseded": 0, "lost": 0} | counts


@pytest.mark.parametrize(
    ("places", "unfinished", "level", "headline"),
    [
        (_places(masked=8, quarantined=1, superseded=1), 0, Level.GOOD, "Every input accounted for"),
        (_places(masked=9, lost=1), 0, Level.BAD, "1 input lost"),
        (_places(masked=8, lost=2), 1, Level.BAD, "2 inputs lost"),
        (_places(masked=7), 1, Level.BAD, "3 inputs not accounted for"),
        (_places(masked=6, input=4), 1, Level.ATTENTION, "1 of 2 chunks unfinished"),
        (_places(masked=6, input=4), 0, Level.ATTENTION, "4 inputs left in INPUT"),
    ],
)
def test_headline_reports_the_worst_problem(
    layout: RunLayout, places: dict[str, int], unfinished: int, level: Level, headline: str
) -> None:
    verdict = judge_run(facts_of(layout, planned(layout, 5, 5), places=places), _NONE, unfinished)
    assert (verdict.level, verdict.headline) == (level, headline)


def test_lost_names_count_even_if_the_count_is_zero(layout: RunLayout) -> None:
    facts = facts_of(layout, planned(layout, 5), lost=["a.jpg#7"])
    assert judge_run(facts, _NONE, 0).headline == "1 input lost"


def test_run_without_inputs_has_nothing_to_do(layout: RunLayout) -> None:
    verdict = judge_run(facts_of(layout, []), _NONE, 0)
    assert (verdict.level, verdict.headline) == (Level.GOOD, "Nothing to do")


@pytest.mark.parametrize(("after_success", "left"), [("delete", 10), ("archive", 10), ("keep", 1)])
def test_kept_inputs_are_not_left_behind(layout: RunLayout, after_success: Any, left: int) -> None:
    facts = facts_of(layout, planned(layout, 10), places=_places(input=10), after_success=after_success)
    assert left_behind(facts, _NONE | {"done": 6, "skipped": 2, "quarantined": 1}) == left
