from typing import Any

import pytest

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report import write_report
from cloudseg_ops.report.summary import figures_line
from cloudseg_ops.storage import Store
from tests.support.report_runs import done, facts_of, planned, quarantined, write_chunk


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


@pytest.mark.parametrize("objects", [(), (1,)])
def test_quarantined_share_without_results_is_zero(store: Store, layout: RunLayout, objects: tuple[int, ...]) -> None:
    assert " quarantined_share=0.000000 " in _line(store, layout, *objects)
