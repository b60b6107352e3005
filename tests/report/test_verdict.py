from typing import Any

import pytest

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report.verdict import Level, judge_run, left_behind
from cloudseg_ops.runs.cleanup_result import CleanUp, NotDeleted
from cloudseg_ops.runs.failed_tasks import FailedTask
from tests.support.report_runs import facts_of, planned


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
    verdict = judge_run(facts_of(layout, planned(layout, 5, 5), places=places), unfinished)
    assert (verdict.level, verdict.headline) == (level, headline)


def test_lost_names_count_even_if_the_count_is_zero(layout: RunLayout) -> None:
    facts = facts_of(layout, planned(layout, 5), lost=["a.jpg#7"])
    assert judge_run(facts, 0).headline == "1 input lost"


def test_run_without_inputs_has_nothing_to_do(layout: RunLayout) -> None:
    verdict = judge_run(facts_of(layout, []), 0)
    assert (verdict.level, verdict.headline) == (Level.GOOD, "Nothing to do")


@pytest.mark.parametrize("after_success", ["delete", "archive", "keep"])
def test_input_with_a_proof_is_not_left_for_the_next_run(layout: RunLayout, after_success: Any) -> None:
    facts = facts_of(layout, planned(layout, 10), places=_places(input=10), after_success=after_success, proven=9)
    assert left_behind(facts) == 1


HELD = CleanUp({"held": 2}, {"held": NotDeleted(2, ("a.jpg", "b.jpg"), "Object is under active Temporary hold")})


def test_inputs_that_could_not_be_deleted_are_named_with_the_reason(layout: RunLayout) -> None:
    failed = [FailedTask("clean_inputs", -1, "DeletesRefusedError", "2 proven inputs …", "Release holds.")]
    facts = facts_of(
        layout, planned(layout, 5), places=_places(input=2, masked=3), proven=2, cleanup=HELD, failed_tasks=failed
    )
    verdict = judge_run(facts, 0)
    assert (verdict.level, verdict.headline) == (Level.ATTENTION, "2 inputs could not be deleted")
    assert "2 under a hold (a.jpg, b.jpg: Object is under active Temporary hold)" in verdict.detail
    assert "neither" not in verdict.detail
    assert "1 chunk did not finish either" in judge_run(facts, 1).detail


def test_failed_cleanup_is_named_and_its_inputs_are_not_called_unproven(layout: RunLayout) -> None:
    failed = [FailedTask("clean_inputs", -1, "StorageError", "list gs://in: 503.", "Clear this task.")]
    facts = facts_of(layout, planned(layout, 5), places=_places(input=5), proven=5, failed_tasks=failed)
    verdict = judge_run(facts, 0)
    assert (verdict.level, verdict.headline) == (Level.ATTENTION, "1 task failed: clean_inputs")
    assert verdict.detail == (
        "Nothing is lost. 5 inputs with a proof could not be cleaned up. clean_inputs: list gs://in: 503. "
        "Clear this task."
    )


def test_failed_task_whose_chunk_is_complete_is_named(layout: RunLayout) -> None:
    verdict = judge_run(facts_of(layout, planned(layout, 5), failed_tasks=[FailedTask("segment", 3)]), 0)
    assert verdict.headline == "1 task failed: segment[3]"
    assert verdict.detail == "Nothing is lost. The log of segment[3] says why."


def test_unreadable_inputs_are_named_with_their_reasons(layout: RunLayout) -> None:
    facts = facts_of(layout, planned(layout, 10), places=_places(masked=7, input=3))
    verdict = judge_run(facts, 0, {"it has a customer-supplied key": 2, "refused": 1})
    assert (verdict.level, verdict.headline) == (Level.ATTENTION, "3 inputs could not be read")
    assert "2 inputs: it has a customer-supplied key; 1 input: refused." in verdict.detail
    assert judge_run(facts, 1, {"refused": 1}).headline == "1 of 1 chunk unfinished"
