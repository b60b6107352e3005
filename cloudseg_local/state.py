"""The state folder of the local setup, which git ignores and `make clean` removes."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudseg_ops.contracts.errors import LocalError

REPOSITORY = Path(__file__).resolve().parents[1]
INPUT_BUCKET = "demo-input"
OUTPUT_BUCKET = "demo-output"
STAGING_BUCKET = "demo-staging"
# Label on pods; the value is `LocalState.setup`.
SETUP_LABEL = "cloudseg-setup"


@dataclass(frozen=True, slots=True)
class LocalState:
    """Paths and secrets in the state folder, and the addresses of the services.

    Attributes:
        root: The state folder, absolute.
        ui_port: Port of Airflow's UI and API on loopback.
        gcs_port: Port of the emulator.
        gcs_host: Address of the emulator: loopback, or an interface that pods can reach.
    """

    root: Path
    ui_port: int
    gcs_port: int
    gcs_host: str = "127.0.0.1"

    @property
    def gcs(self) -> Path:
        """Folder of the emulator's objects."""
        return self.root / "gcs"

    @property
    def registry(self) -> Path:
        """The example registry: a git repository under DVC."""
        return self.root / "registry"

    @property
    def registry_remote(self) -> Path:
        """The example registry's DVC remote."""
        return self.root / "registry-remote"

    @property
    def airflow_home(self) -> Path:
        """AIRFLOW_HOME: database, configuration and task logs."""
        return self.root / "airflow"

    @property
    def logs(self) -> Path:
        """Folder of the services' logs."""
        return self.root / "logs"

    @property
    def reports(self) -> Path:
        """Folder of copies of the runs' reports."""
        return self.root / "reports"

    @property
    def up_file(self) -> Path:
        """File that exists while services started by `make up` are running."""
        return self.root / "up.json"

    @property
    def cluster_file(self) -> Path:
        """File that names the cluster that may hold pods of this setup; missing when no cluster does."""
        return self.root / "cluster.json"

    @property
    def setup(self) -> str:
        """Name that distinguishes this setup from others on the same cluster."""
        return hashlib.sha256(self.secret("setup").encode()).hexdigest()[:16]

    @property
    def gcs_url(self) -> str:
        """Address of the emulator."""
        return f"http://{self.gcs_host}:{self.gcs_port}"

    @property
    def ui_url(self) -> str:
        """Address of Airflow's UI."""
        return f"http://127.0.0.1:{self.ui_port}"

    def secret(self, name: str) -> str:
        """Return a secret of this setup, generated on first use and readable only by the file's owner."""
        path = self.root / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if name not in known:
            known[name] = secrets.token_urlsafe(16)
            write_private(path, known)
        return known[name]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the state folder for this command; the lock is released when the process ends, however it ends.

        Raises:
            LocalError: Another command holds the lock.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.seek(0)
                raise LocalError(
                    f"another command is using {self.root} (process {lock.read().strip() or 'unknown'}); "
                    "wait for it to end, or stop it with Ctrl-C in its terminal"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def read_up_file(state: LocalState) -> dict[str, Any]:
    """Return the options of the services that `make up` left running, with defaults for those of older versions."""
    return {"gcs_host": "127.0.0.1", "runtime": "local", **json.loads(state.up_file.read_text())}


def write_private(path: Path, document: Any) -> None:
    """Write JSON atomically to a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(document, stream)
    draft.replace(path)
