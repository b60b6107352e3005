"""The Cloud Storage emulator of the local setup: its process, its health check, and clients of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from cloudseg_local.processes import Service
from cloudseg_local.state import LocalState, read_up_file
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.storage import Store
from gcs_emulator import EmulatorStartError, start_emulator

_HEALTH_SECONDS = 5


def emulator_service(state: LocalState, environment: dict[str, str]) -> Service:
    """Return the emulator's process, ready to be started."""
    arguments = ("--host", state.gcs_host, "--port", str(state.gcs_port), "--directory", str(state.gcs))
    return Service(
        "GCS emulator",
        (sys.executable, "-m", "gcs_emulator", *arguments),
        environment,
        state.logs / "emulator.log",
    )


def connect(url: str) -> Store:
    """Return a store on the emulator at `url`, ignoring any Google credentials in the environment."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    return Store(
        Client(
            project="local",
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": url},
        )
    )


def is_healthy(url: str) -> bool:
    """Return whether an emulator answers at `url`."""
    try:
        return requests.get(f"{url}/_emulator/health", timeout=_HEALTH_SECONDS).ok
    except requests.RequestException:
        return False


@contextmanager
def local_store(folder: Path) -> Iterator[Store]:
    """Open the buckets of a state folder, through its running emulator or, without one, an emulator in this process.

    Raises:
        LocalError: The folder does not exist, or a demo is using it.
    """
    state = LocalState(folder.resolve(), ui_port=0, gcs_port=0)
    if not state.gcs.is_dir():
        raise LocalError(
            f"{folder} holds no local setup; create one with `make demo`, or name another folder with STATE=FOLDER"
        )
    if url := _running_emulator(state):
        yield connect(url)
        return
    try:
        with start_emulator(state.gcs) as emulator:
            yield Store(emulator.client())
    except EmulatorStartError as error:
        raise LocalError(f"{error}; a demo seems to be running: it prints its own audit when it ends") from error


def _running_emulator(state: LocalState) -> str | None:
    """Return the address of the emulator that `make up` left running; None if there is none or it has stopped."""
    if not state.up_file.exists():
        return None
    up = read_up_file(state)
    url = f"http://{up['gcs_host']}:{up['gcs_port']}"
    return url if is_healthy(url) else None
