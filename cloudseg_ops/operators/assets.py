"""Assets: one notifies other DAGs of new masks, the other starts a run when photographs arrive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudseg_ops.contracts.uris import GcsUri

MASKS = "cloudseg_masks"
"""Name of the asset that gets an event from each successful run."""

PHOTOGRAPHS = "cloudseg_photographs"
"""Name of the asset whose events, Pub/Sub messages, start a run."""


def masks_asset() -> Any:
    """Return the asset that stands for the masks of all runs.

    It has a name instead of a gs:// address: for an address with such a scheme, Airflow imports the handlers of all
    providers while it parses the DAG, including Cloud Storage's client. The addresses are in the events.
    """
    from airflow.sdk import Asset

    return Asset(MASKS)


def masks_extra(head: Mapping[str, Any], masks: GcsUri) -> dict[str, Any]:
    """Return the `extra` of a run's asset event: small, plain JSON.

    Args:
        head: The head of the run's report.json.
        masks: Prefix of the run's masks in OUTPUT.
    """
    model = head["model"] or {}
    return {
        "run_id": head["run_id"],
        "masks": str(masks),
        "objects": head["objects"],
        "counts": dict(head["outcomes"]),
        "cloud_fraction": head["cloud_fraction"]["mean"],
        "model": {key: model.get(key) for key in ("revision", "commit", "digest")},
        "report_html": head["report_html"],
        "report_json": head["report_json"],
        "version": head["version"],
    }
