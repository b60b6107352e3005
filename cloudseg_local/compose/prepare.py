"""Prepares an empty Docker setup so that the DAG can be triggered; every step is idempotent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cloudseg_local.emulator import connect
from cloudseg_local.example_registry import build_example_registry
from cloudseg_local.photographs import upload_photographs
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET, REPOSITORY, STAGING_BUCKET
from cloudseg_ops.config.pools import pool_command
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store

BUCKETS = (INPUT_BUCKET, OUTPUT_BUCKET, STAGING_BUCKET)
WEIGHTS = REPOSITORY / "examples" / "cloud_unet" / "weights"

Report = Callable[[str], None]


def prepare_database(pool: str, slots: int, report: Report) -> None:
    """Create or upgrade Airflow's database, and create the pool.

    Args:
        pool: Name of the pool that limits concurrent chunks.
        slots: Number of slots.
        report: Receives progress messages for the terminal.

    Raises:
        LocalError: An Airflow command failed; its output has been printed.
    """
    report("Airflow's database")
    _airflow(["airflow", "db", "migrate"])
    report(f"the pool {pool} with {slots} slots")
    _airflow(pool_command(pool, slots))


def prepare_storage(url: str, photographs: int, report: Report) -> None:
    """Create the buckets, and upload photographs if all buckets are empty.

    Args:
        url: Address of the emulator.
        photographs: Number of generated scenes; 0 uploads nothing, not even the broken files.
        report: Receives progress messages for the terminal.
    """
    store = connect(url)
    for bucket in BUCKETS:
        store.create_bucket(bucket)
    report(f"the buckets {', '.join(BUCKETS)}")
    if photographs and not _used(store):
        uploaded = upload_photographs(store, None, photographs)
        report(f"{uploaded} photographs in gs://{INPUT_BUCKET}, two of them broken on purpose")


def prepare_registry(folder: Path, report: Report, weights: Path = WEIGHTS) -> None:
    """Build the example model registry.

    Args:
        folder: Folder for the git repository, `registry`, and its DVC remote, `registry-remote`.
        report: Receives progress messages for the terminal.
        weights: Folder of weights and parameters, as for `build_example_registry`.

    Raises:
        LocalError: git failed; the message contains its error output.
    """
    build_example_registry(weights, folder / "registry", folder / "registry-remote")
    report("the example model registry, revisions v1 and v2")


def _used(store: Store) -> bool:
    return any(next(iter(store.list_objects(GcsUri(bucket))), None) is not None for bucket in BUCKETS)


def _airflow(command: Sequence[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise LocalError(
            f"`{' '.join(command)}` ended with exit code {done.returncode}; its output is above. Fix the cause, then "
            "run `docker compose up` again"
        )
