import base64
import hashlib
import json
import re

import pytest

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report.plan_page import headline, plan_tiles, render_plan, write_plan_pages
from cloudseg_ops.runs.forecast import Rate
from cloudseg_ops.storage import Store
from tests.support.report_runs import MODEL
from tests.support.run_plans import plan_of

_HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def test_plan_is_written_as_html_and_json(store: Store, layout: RunLayout) -> None:
    plan = plan_of(layout, 100, 40, dry_run=False)
    write_plan_pages(store, plan)
    document = json.loads(store.read(layout.plan_json))
    assert document.pop("chunk_list") == [
        {"index": 0, "uri": str(layout.chunk(0)), "objects": 100, "bytes": 100_000},
        {"index": 1, "uri": str(layout.chunk(1)), "objects": 40, "bytes": 40_000},
    ]
    assert document == plan.to_json()
    assert store.read(layout.plan_html).decode() == render_plan(plan)


def test_names_are_escaped_and_nothing_is_fetched(layout: RunLayout) -> None:
    hostile = MODEL.model_copy(update={"revision": _HOSTILE, "repository": _HOSTILE})
    rate = Rate(10.0, None, (_HOSTILE,))
    html = render_plan(plan_of(layout, 5, model=hostile, rate=rate, after_success=_HOSTILE, input_bucket=_HOSTILE))
    assert set(re.findall(r"<(script|img|iframe|object|link|base|form|a)\b", html)) == set()
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src &#39;sha256-{digest}&#39;" in html
    assert "default-src &#39;none&#39;" in html
    assert not re.search(r"""\s(style|href|src|on\w+)=["']""", html)


def test_a_dry_run_says_that_nothing_was_done(layout: RunLayout) -> None:
    dry, real = render_plan(plan_of(layout, 5)), render_plan(plan_of(layout, 5, dry_run=False))
    assert "Nothing was segmented or deleted" in dry
    assert "Nothing was segmented" not in real
    assert "report.html" in real


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "About 15 s"),
        ({"at_once": None}, "15 s to 24 s"),
        ({"already_processed": 140}, "Nothing left to segment"),
    ],
)
def test_headline_has_the_duration(layout: RunLayout, changes: dict[str, int | None], expected: str) -> None:
    assert headline(plan_of(layout, 100, 40, **changes)) == expected


def test_tiles_have_the_figures_of_the_plan(layout: RunLayout) -> None:
    tiles = plan_tiles(plan_of(layout, 1000, 400, already_processed=7))
    assert [(tile.label, tile.value, tile.note) for tile in tiles] == [
        ("inputs", "1,400", "7 already processed"),
        ("chunks", "2", "of 400 to 1,000 images"),
        ("concurrency", "2", "pool slots"),
        ("images/s per chunk", "10.0", "measured in 2 runs"),
        ("GPU hours", "0.04", "without idle time"),
        ("cost", "0.03", "USD"),
    ]
    unknown = plan_tiles(plan_of(layout, 5, at_once=None, gpu_hour_price=None, rate=Rate(10)))
    assert unknown[1].note == "of 5 images"
    assert [unknown[at].value for at in (2, 5)] == ["unknown", "–"]
    assert (unknown[3].note, unknown[5].note) == ("from settings", "no price set")


def test_many_chunks_are_collapsed_and_page_size_is_bounded(layout: RunLayout) -> None:
    html = render_plan(plan_of(layout, *[500] * 1024))
    assert "<summary>1,024 chunks</summary>" in html
    assert len(html.encode()) < 300_000
    assert "<details>" not in render_plan(plan_of(layout, 500, 500))
