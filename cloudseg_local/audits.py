"""Audits runs of the local setup, also after its services were stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from cloudseg_local.buckets import connect
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET, STAGING_BUCKET, LocalState, read_up_file
from cloudseg_ops.contracts.errors import LocalError, ObjectNotFoundError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.audit import Audit, audit_run
from cloudseg_ops.storage import Store
from gcs_emulator import EmulatorStartError, start_emulator


@contextmanager
def local_store(folder: Path) -> Iterator[Store]:
    """Open the buckets of a state folder, through its running emulator or one in this process.

    Raises:
        LocalError: There is no such folder, or a demo is using it.
    """
    state = LocalState(folder.resolve(), ui_port=0, gcs_port=0)
    if not state.gcs.is_dir():
        raise LocalError(f"{folder} holds no local setup; `make demo` makes one, STATE=FOLDER names another")
    if url := _running(state):
        yield connect(url)
        return
    try:
        with start_emulator(state.gcs) as emulator:
            yield Store(emulator.client())
    except EmulatorStartError as error:
        raise LocalError(f"{error}; a demo seems to be running: it prints its own audit at its end") from error


def local_layout(run_id: str) -> RunLayout:
    """Where the local setup keeps a run's files."""
    return RunLayout(GcsUri(STAGING_BUCKET), GcsUri(OUTPUT_BUCKET), run_id)


def audit_local_run(store: Store, run_id: str) -> Audit:
    """Account for the inputs of a run.

    Raises:
        LocalError: There is no such run.
    """
    try:
        return audit_run(store, local_layout(run_id), INPUT_BUCKET)
    except ObjectNotFoundError:
        raise LocalError(f"run {run_id!r} took no snapshot; leave RUN out for the newest one that did") from None


def newest_run(store: Store) -> str:
    """Find the run whose snapshot was taken last.

    Raises:
        LocalError: None has been taken.
    """
    snapshots = [
        info for info in store.list_objects(GcsUri(STAGING_BUCKET, "runs/")) if info.name.endswith("/snapshot.jsonl")
    ]
    if not snapshots:
        raise LocalError("no run has taken a snapshot yet; `make demo` runs one")
    newest = max(snapshots, key=lambda info: info.updated)
    return newest.name.removeprefix("runs/").removesuffix("/snapshot.jsonl")


def _running(state: LocalState) -> str | None:
    """Address of the emulator that `make up` has left running; None when there is none, or none any more."""
    if not state.up_file.exists():
        return None
    up = read_up_file(state)
    url = f"http://{up['gcs_host']}:{up['gcs_port']}"
    try:
        return url if requests.get(f"{url}/_emulator/health", timeout=5).ok else None
    except requests.RequestException:
        return None
