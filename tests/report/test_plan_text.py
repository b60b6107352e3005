from typing import Any

import pytest

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.report.plan_text import aligned, plan_rows
from cloudseg_ops.runs.forecast import Rate
from tests.support.run_plans import plan_of

LAYOUT = RunLayout(GcsUri("staging"), GcsUri("masks"), "manual__1")


def _rows(*objects: int, **changes: Any) -> dict[str, str]:
    return dict(plan_rows(plan_of(LAYOUT, *objects, **changes)))


def test_rows_describe_the_plan() -> None:
    assert _rows(1000, 1000, 400, already_processed=12) == {
        "inputs": "2,400 images, 2.40 MB",
        "already processed": "12 images, skipped: with a mask by this model, or in quarantine",
        "chunks": "3, of 400 to 1,000 images, median 1,000",
        "chunk sizes": "400 kB to 1.00 MB, median 1.00 MB",
        "concurrency": "2 chunks (CLOUDSEG_POOL_SLOTS)",
        "rate": "10.0 images/s per chunk, measured in 2 runs with this model",
        "measured in": "run-a, run-b",
        "chunk start": "5.0 s, measured in the same way",
        "GPU time": "about 0.07 GPU hours (3 min 59 s), without the idle time of nodes",
        "wall time": "about 2 min 29 s for all chunks",
        "cost": "about USD 0.05, at USD 0.71 per GPU hour",
        "afterwards": "delete: permanently deletes up to 2,400 inputs (2.40 MB) from gs://photos, each after its mask "
        "has been read back as proof",
        "page": "gs://masks/reports/manual__1/plan.html",
    }


def test_unknown_values_name_their_setting() -> None:
    rows = _rows(100, 100, at_once=None, gpu_hour_price=None, rate=Rate(10))
    assert "measured in" not in rows
    assert "already processed" not in rows
    assert rows["rate"] == "10.0 images/s per chunk, from CLOUDSEG_IMAGES_PER_SECOND: no report has a measured rate"
    assert rows["concurrency"] == "unknown: set CLOUDSEG_POOL_SLOTS to the number of slots of the pool"
    assert rows["chunk start"] == "unknown, not included"
    assert rows["wall time"] == "between 10 s (all chunks concurrently) and 20 s (one at a time)"
    assert rows["cost"] == "unknown: set CLOUDSEG_GPU_HOUR_PRICE"


def test_single_items_are_in_the_singular() -> None:
    rows = _rows(1, already_processed=0, at_once=1, rate=Rate(1.0, None, ("a",)))
    assert rows["inputs"] == "1 image, 1.00 kB"
    assert rows["cost"] == "less than USD 0.01, at USD 0.71 per GPU hour"
    assert rows["already processed"] == "none: no input has a mask by this model or is in quarantine"
    assert (rows["chunks"], rows["chunk sizes"], rows["concurrency"]) == (
        "1, of 1 image", "1.00 kB", "1 chunk (CLOUDSEG_POOL_SLOTS)",
    )  # fmt: skip
    assert rows["rate"] == (
        "1.00 images/s per chunk, measured in 1 run with another model: no rate of this one was found"
    )


@pytest.mark.parametrize(
    ("after_success", "expected"),
    [
        ("delete", "permanently deletes up to 2 inputs (2.00 kB) from gs://photos"),
        ("archive", "moves up to 2 inputs (2.00 kB) from gs://photos to archive/ in gs://masks"),
        ("keep", "all inputs stay in gs://photos, and the next run finds them again"),
    ],
)
def test_after_success_is_explained(after_success: str, expected: str) -> None:
    text = _rows(1, 1, after_success=after_success)["afterwards"]
    assert text.startswith(f"{after_success}: ")
    assert expected in text


def test_lines_are_aligned() -> None:
    assert aligned([("a", "1"), ("long", "2")]) == ["  a     1", "  long  2"]
