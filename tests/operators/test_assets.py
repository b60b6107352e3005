import json
import subprocess
import sys

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.operators.assets import masks_asset, masks_extra
from cloudseg_ops.report import write_report
from cloudseg_ops.storage import Store
from tests.support.report_runs import MODEL, done, facts_of, planned, write_chunk


def test_asset_event_has_the_counts_and_addresses_of_the_run(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("sky/a.jpg"), done("sky/b.jpg")])
    report = write_report(store, layout, facts_of(layout, planned(layout, 2)))
    extra = masks_extra(report.to_json(), GcsUri(layout.output.bucket, "sky/"))
    assert extra["counts"] == {"done": 2, "skipped": 0, "quarantined": 0, "vanished": 0, "changed": 0, "unreadable": 0}
    assert extra["objects"] == 2
    assert extra["masks"] == f"gs://{layout.output.bucket}/sky/"
    assert extra["model"] == {"revision": MODEL.revision, "commit": MODEL.commit, "digest": MODEL.digest}
    assert extra["run_id"] == layout.run_id
    assert extra["cloud_fraction"] == report.head["cloud_fraction"]["mean"]
    assert (extra["report_html"], extra["report_json"]) == (str(report.html_uri), str(report.json_uri))
    assert len(json.dumps(extra)) < 2000
    assert json.loads(json.dumps(extra)) == extra


def test_masks_address_without_a_prefix_is_the_bucket(store: Store, layout: RunLayout) -> None:
    report = write_report(store, layout, facts_of(layout, []))
    assert masks_extra(report.to_json(), GcsUri(layout.output.bucket))["masks"] == f"gs://{layout.output.bucket}"


def test_asset_is_identified_by_its_name() -> None:
    from airflow.sdk import Asset

    assert masks_asset() == Asset("cloudseg_masks")


def test_naming_the_asset_imports_no_providers() -> None:
    code = (
        "import sys; from cloudseg_ops.operators.assets import masks_asset; masks_asset(); "
        "print([name for name in ('google.cloud.storage', 'airflow.providers.google.assets') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
