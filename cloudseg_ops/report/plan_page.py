"""plan.html and plan.json: the plan of a run, written to the folder of its report."""

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
    """Write plan.json and plan.html, replacing existing ones.

    Raises:
        StorageError: Cloud Storage failed; it is safe to try again.
    """
    document = {**plan.to_json(), "chunk_list": [asdict(chunk) for chunk in plan.chunks]}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    store.write(plan.layout.plan_json, text.encode(), content_type="application/json")
    store.write(plan.layout.plan_html, render_plan(plan).encode(), content_type="text/html; charset=utf-8")


def render_plan(plan: RunPlan) -> str:
    """Render plan.html: like the report, a self-contained page without scripts."""
    from markupsafe import Markup

    style = page_style()
    return (
        page_environment()
        .get_template("plan.html.j2")
        .render(
            policy=page_policy(style),
            # Trusted, since it is part of the package; escaping would invalidate the hash in the policy.
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
    """Return the headline of the plan: the expected time."""
    expected = plan.forecast
    if not expected.images:
        return "Nothing left to segment"
    if expected.wall_seconds is not None:
        return f"About {readable_seconds(expected.wall_seconds)}"
    return f"{readable_seconds(expected.shortest_seconds)} to {readable_seconds(expected.longest_seconds)}"


def plan_tiles(plan: RunPlan) -> list[Tile]:
    """Return the six numbers at the top of the plan's page."""
    expected, rate = plan.forecast, plan.rate
    sizes = plan.chunk_objects
    few = counted(sizes.max, "image")
    skipped = f"{plan.already_processed:,} already processed" if plan.already_processed else readable_bytes(plan.bytes)
    cost = expected.cost
    return [
        Tile("inputs", f"{plan.objects:,}", skipped),
        Tile(
            "chunks",
            f"{len(plan.chunks):,}",
            "of " + (few if sizes.min == sizes.max else f"{sizes.min:,} to {few}"),
        ),
        Tile("concurrency", UNKNOWN if plan.at_once is None else f"{plan.at_once:,}", "pool slots"),
        Tile(
            "images/s per chunk",
            three_digits(rate.images_per_second),
            f"measured in {len(rate.runs)} run{'' if len(rate.runs) == 1 else 's'}" if rate.runs else "from settings",
        ),
        Tile("GPU hours", three_digits(expected.gpu_hours), "without idle time"),
        Tile("cost", "–" if cost is None else f"{cost:,.2f}", "no price set" if cost is None else CURRENCY),
    ]
