"""plan.html and plan.json: what a run is going to do, next to its later report."""

from __future__ import annotations

import json
from dataclasses import asdict

from cloudseg_ops.contracts.units import readable_bytes, readable_seconds, three_digits
from cloudseg_ops.report.page import page_environment, page_policy, page_style
from cloudseg_ops.report.plan_text import UNKNOWN, plan_rows
from cloudseg_ops.report.tiles import Tile
from cloudseg_ops.report.verdict import counted
from cloudseg_ops.runs.forecast import CURRENCY
from cloudseg_ops.runs.run_plan import RunPlan
from cloudseg_ops.storage import Store

_FEW_CHUNKS = 12


def write_plan_pages(store: Store, plan: RunPlan) -> None:
    """Write plan.json and plan.html, in place of any that are there.

    Raises:
        StorageError: Cloud Storage failed; writing again does no harm.
    """
    document = {**plan.to_json(), "chunk_list": [asdict(chunk) for chunk in plan.chunks]}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    store.write(plan.layout.plan_json, text.encode(), content_type="application/json")
    store.write(plan.layout.plan_html, render_plan(plan).encode(), content_type="text/html; charset=utf-8")


def render_plan(plan: RunPlan) -> str:
    """Render plan.html: like the report, one file that needs nothing else, and runs nothing."""
    from markupsafe import Markup

    style = page_style()
    return (
        page_environment()
        .get_template("plan.html.j2")
        .render(
            policy=page_policy(style),
            # The project's own file; escaped, it would no longer be what the policy's hash is of.
            style=Markup(style),  # noqa: S704
            plan=plan,
            headline=headline(plan),
            tiles=plan_tiles(plan),
            rows=plan_rows(plan),
            chunks=list(zip(plan.chunks, plan.forecast.chunk_seconds, strict=True)),
            folded=len(plan.chunks) > _FEW_CHUNKS,
        )
    )


def headline(plan: RunPlan) -> str:
    """The plan in a few words."""
    expected = plan.forecast
    if not expected.images:
        return "Nothing left to segment"
    if expected.wall_seconds is not None:
        return f"About {readable_seconds(expected.wall_seconds)}"
    return f"{readable_seconds(expected.shortest_seconds)} to {readable_seconds(expected.longest_seconds)}"


def plan_tiles(plan: RunPlan) -> list[Tile]:
    """The plan in six numbers."""
    expected, rate = plan.forecast, plan.rate
    sizes = plan.chunk_objects
    few = counted(sizes.max, "image")
    skipped = f"{plan.already_processed:,} done already" if plan.already_processed else readable_bytes(plan.bytes)
    cost = expected.cost
    return [
        Tile("inputs", f"{plan.objects:,}", skipped),
        Tile(
            "chunks",
            f"{len(plan.chunks):,}",
            "of " + (few if sizes.min == sizes.max else f"{sizes.min:,} to {few}"),
        ),
        Tile("at once", UNKNOWN if plan.at_once is None else f"{plan.at_once:,}", "slots of the pool"),
        Tile(
            "images/s a chunk",
            three_digits(rate.images_per_second),
            f"measured in {len(rate.runs)} run{'' if len(rate.runs) == 1 else 's'}" if rate.runs else "a setting",
        ),
        Tile("GPU hours", three_digits(expected.gpu_hours), "engines at work"),
        Tile("cost", "–" if cost is None else f"{cost:,.2f}", "no price is set" if cost is None else CURRENCY),
    ]
