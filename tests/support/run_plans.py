"""Sample run plans."""

from __future__ import annotations

from typing import Any

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.runs.chunk_plan import Chunk
from cloudseg_ops.runs.forecast import Rate
from cloudseg_ops.runs.run_plan import RunPlan
from tests.support.report_runs import MODEL


def plan_of(layout: RunLayout, *objects: int, **changes: Any) -> RunPlan:
    fields: dict[str, Any] = {
        "layout": layout,
        "version": "1.2.3",
        "written": "2026-08-26T03:00:00+00:00",
        "dry_run": True,
        "after_success": "delete",
        "input_bucket": "photos",
        "chunks": [Chunk(index, str(layout.chunk(index)), count, 1000 * count) for index, count in enumerate(objects)],
        "already_processed": None,
        "at_once": 2,
        "rate": Rate(10.0, 5.0, ("run-a", "run-b"), same_model=True),
        "gpu_hour_price": 0.71,
        "model": MODEL,
    }
    return RunPlan(**(fields | changes))
