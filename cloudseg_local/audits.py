"""Audits runs of the local setup."""

from __future__ import annotations

from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET, STAGING_BUCKET
from cloudseg_ops.contracts.errors import LocalError, ObjectNotFoundError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.audit import Audit, audit_run
from cloudseg_ops.storage import Store


def local_layout(run_id: str) -> RunLayout:
    """Return where the local setup keeps the files of a run."""
    return RunLayout(GcsUri(STAGING_BUCKET), GcsUri(OUTPUT_BUCKET), run_id)


def audit_local_run(store: Store, run_id: str) -> Audit:
    """Account for the inputs of a run.

    Raises:
        LocalError: The run does not exist.
    """
    try:
        return audit_run(store, local_layout(run_id), INPUT_BUCKET)
    except ObjectNotFoundError:
        raise LocalError(f"run {run_id!r} took no snapshot; omit RUN to audit the newest run that did") from None


def newest_run(store: Store) -> str:
    """Return the id of the run with the newest snapshot.

    Raises:
        LocalError: No run has taken a snapshot.
    """
    snapshots = [
        info for info in store.list_objects(GcsUri(STAGING_BUCKET, "runs/")) if info.name.endswith("/snapshot.jsonl")
    ]
    if not snapshots:
        raise LocalError("no run has taken a snapshot yet; start one with `make demo`")
    newest = max(snapshots, key=lambda info: info.updated)
    return newest.name.removeprefix("runs/").removesuffix("/snapshot.jsonl")
