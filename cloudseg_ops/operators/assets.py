"""Assets: by which other DAGs follow a run, and by which new photographs start one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudseg_ops.contracts.uris import GcsUri

MASKS = "cloudseg_masks"
"""Name of the asset of which each run that succeeded is an event."""

PHOTOGRAPHS = "cloudseg_photographs"
"""Name of the asset whose events, messages of Pub/Sub, start a run."""


def masks_asset() -> Any:
    """The asset that a run's masks are.

    It has a name and no gs:// address: for an address with a provider's scheme, Airflow imports the handlers of all
    providers while the DAG is parsed, and Cloud Storage's client with them. The addresses are in the events.
    """
    from airflow.sdk import Asset

    return Asset(MASKS)


def masks_extra(head: Mapping[str, Any], masks: GcsUri) -> dict[str, Any]:
    """What the event of a run says: small, and plain JSON.

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
