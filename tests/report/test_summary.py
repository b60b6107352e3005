from collections import Counter
from typing import Any

import pytest

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report import write_report
from cloudseg_ops.report.summary import figures_line
from cloudseg_ops.runs.not_taken import NotTaken
from cloudseg_ops.runs.report_file import read_head
from cloudseg_ops.storage import Store
from tests.support.report_runs import done, facts_of, page, planned, quarantined, write_chunk


def _line(store: Store, layout: RunLayout, *objects: int, **changes: Any) -> str:
    return figures_line(write_report(store, layout, facts_of(layout, planned(layout, *objects), **changes)))


def test_figures_line_has_the_counts(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg"), done("b.jpg"), quarantined("c.jpg", "no image")])
    assert (
        _line(store, layout, 3, 2)
        == "figures: objects=5 quarantined=1 quarantined_share=0.200000 lost=0 unfinished_chunks=1"
    )


def test_inputs_missing_in_the_audit_are_lost(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg"), done("b.jpg")])
    places = {"input": 0, "masked": 1, "quarantined": 0, "superseded": 0, "lost": 1}
    assert " lost=1 " in _line(store, layout, 2, places=places, lost=["b.jpg#7"])


def test_what_was_not_taken_is_in_the_head_and_on_the_page(store: Store, layout: RunLayout) -> None:
    not_taken = NotTaken(Counter(heic=2, jfif=1), not_settled=4)
    report = write_report(store, layout, facts_of(layout, planned(layout, 1), not_taken=not_taken))
    assert read_head(store, layout) == report.to_json()
    assert report.head["not_taken"]["types"] == {"heic": 2, "jfif": 1}
    assert "7 objects not taken: heic (2), jfif (1), not settled yet (4)" in page(store, layout)


@pytest.mark.parametrize("not_taken", [None, NotTaken()])
def test_nothing_is_said_of_what_was_not_taken_if_there_is_none(
    store: Store, layout: RunLayout, not_taken: NotTaken | None
) -> None:
    write_report(store, layout, facts_of(layout, planned(layout, 1), not_taken=not_taken))
    assert "not taken" not in page(store, layout)


@pytest.mark.parametrize("objects", [(), (1,)])
def test_quarantined_share_without_results_is_zero(store: Store, layout: RunLayout, objects: tuple[int, ...]) -> None:
    assert " quarantined_share=0.000000 " in _line(store, layout, *objects)
