import json

import pytest

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.runs.forecast import Rate
from cloudseg_ops.runs.run_plan import LOOKED_UP, count_already_processed
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.support.report_runs import MODEL
from tests.support.run_plans import plan_of
from tests.support.samples import DIGEST, OTHER_DIGEST, put_copy, put_inputs, put_mask, put_snapshot, source_of


def test_plan_json_has_all_fields(layout: RunLayout) -> None:
    plan = plan_of(layout, 100, 100, 40)
    document = json.loads(json.dumps(plan.to_json()))
    assert (document["run_id"], document["dry_run"]) == (layout.run_id, True)
    assert (document["objects"], document["bytes"], document["dealt_with"]) == (240, 240_000, None)
    assert document["chunks"] == {
        "count": 3,
        "objects": {"least": 40, "median": 100, "most": 100},
        "bytes": {"least": 40_000, "median": 100_000, "most": 100_000},
    }
    assert document["at_once"] == 2
    assert document["rate"] == {
        "images_per_second": 10.0, "start_seconds": 5.0, "measured_in": ["run-a", "run-b"], "same_model": True,
    }  # fmt: skip
    assert document["estimate"] == {
        "images": 240, "gpu_hours": 0.0067, "wall_seconds": 24.0, "shortest_seconds": 15.0, "longest_seconds": 39.0,
        "cost": 0.0047, "gpu_hour_price": 0.71, "currency": "USD",
    }  # fmt: skip
    assert document["model"] == {"revision": "v2", "commit": MODEL.commit, "digest": MODEL.digest}
    assert document["plan_html"] == f"gs://{layout.output.bucket}/reports/test-run/plan.html"


def test_plan_json_size_is_bounded(layout: RunLayout) -> None:
    assert len(json.dumps(plan_of(layout, *[1000] * 1024).to_json())) < 2000


def test_unknown_values_are_null(layout: RunLayout) -> None:
    document = plan_of(layout, 5, at_once=None, gpu_hour_price=None, model=None, rate=Rate(10)).to_json()
    assert (document["at_once"], document["model"], document["rate"]["start_seconds"]) == (None, None, None)
    assert (document["estimate"]["wall_seconds"], document["estimate"]["cost"]) == (None, None)
    assert document["rate"]["measured_in"] == []


def test_already_processed_inputs_are_counted(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    versions = put_inputs(store, buckets.input, [f"{name}.jpg" for name in "abcdef"])
    put_snapshot(store, layout, versions)
    for number, digest in ((0, DIGEST), (1, DIGEST), (2, OTHER_DIGEST)):
        put_mask(store, buckets.output, source_of(versions[number], buckets.input), digest=digest)
    put_copy(store, buckets.output, source_of(versions[3], buckets.input))
    # A mask of an older version is not a proof of this one.
    put_mask(store, buckets.output, source_of(versions[4].__class__("e.jpg", 1, 10, "x"), buckets.input))

    def count(objects: int) -> int | None:
        return count_already_processed(store, layout, objects=objects, input_bucket=buckets.input, model_digest=DIGEST)

    assert count(6) == 3
    assert count(LOOKED_UP + 1) is None


@pytest.mark.parametrize("objects", [1, 7])
def test_totals_are_those_of_the_chunks(layout: RunLayout, objects: int) -> None:
    plan = plan_of(layout, *[3] * objects)
    assert (plan.objects, plan.bytes) == (3 * objects, 3000 * objects)
