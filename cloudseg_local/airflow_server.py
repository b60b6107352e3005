"""The Airflow of the local setup: its environment, its database and its four processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cloudseg_local.processes import MARKER, Service, tail
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET, REPOSITORY, STAGING_BUCKET, LocalState, write_private
from cloudseg_ops.contracts.errors import LocalError

ADMIN = "admin"
VIEWER = "viewer"
"""A read-only user: sees runs but cannot start or change them."""
DAG_ID = "cloud_segmentation"
_SERVICES = {
    "API server": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "DAG processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


def processors() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def airflow_environment(
    state: LocalState, overrides: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment for every process of the setup, with the settings of Airflow and of cloudseg.

    Args:
        state: The state folder and ports.
        overrides: cloudseg settings that replace the local defaults; keys are in lower case, without `CLOUDSEG_`.
        environment: Further environment variables; they take precedence over all others.
    """
    airflow = {
        "core__dags_folder": REPOSITORY / "dags",
        "core__plugins_folder": REPOSITORY / "plugins",
        "core__load_examples": False,
        "core__executor": "LocalExecutor",
        "core__parallelism": 4,
        "core__dags_are_paused_at_creation": False,
        "core__execution_api_server_url": f"{state.ui_url}/execution/",
        "core__fernet_key": "",
        "core__simple_auth_manager_users": f"{ADMIN}:admin,{VIEWER}:viewer",
        "core__simple_auth_manager_passwords_file": state.airflow_home / "passwords.json",
        "database__sql_alchemy_conn": f"sqlite:///{state.airflow_home / 'airflow.db'}",
        "api__host": "127.0.0.1",
        "api__port": state.ui_port,
        "api__base_url": state.ui_url,
        "api__secret_key": state.secret("api-secret-key"),
        "api_auth__jwt_secret": state.secret("jwt-secret"),
        "logging__base_log_folder": state.airflow_home / "logs",
        "logging__colored_console_log": False,
        "dag_processor__refresh_interval": 5,
        "dag_processor__min_file_process_interval": 10,
        # Detect killed workers quickly: on a laptop, no network delays a heartbeat.
        "scheduler__task_instance_heartbeat_timeout": 30,
        "scheduler__task_instance_heartbeat_timeout_detection_interval": 5,
        "scheduler__orphaned_tasks_check_interval": 15,
        "usage_data_collection__enabled": False,
    }
    cloudseg = {
        "input_bucket": INPUT_BUCKET,
        "output_bucket": OUTPUT_BUCKET,
        "staging_bucket": STAGING_BUCKET,
        "model_repository": state.registry,
        "model_revision": "v2",
        "runtime": "local",
        "schedule": "none",
        "settle_seconds": 1,
        # Airflow may notice the end of a task up to 6 s late; a sensor that reschedules sooner would count as failed.
        "poke_interval_seconds": 7,
        "sense_timeout_seconds": 30,
        "retry_delay_seconds": 2,
        # Clean-up deletes the photographs; with previews of all of them, the gallery can still show them.
        "previews": "all",
        "pool_slots": chunks_at_once(),
        "engine_options": f"--threads {max(1, processors() // chunks_at_once())} --progress-seconds 2",
        **overrides,
    }
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "CLOUDSEG"))},
        **{f"AIRFLOW__{key.upper()}": str(value) for key, value in airflow.items()},
        **{f"CLOUDSEG_{key.upper()}": str(value) for key, value in cloudseg.items()},
        "AIRFLOW_HOME": str(state.airflow_home),
        "STORAGE_EMULATOR_HOST": state.gcs_url,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        # Airflow renames its processes; without this, that would overwrite the environment we find them by.
        "SPT_NOENV": "1",
        MARKER: str(state.root),
        **(environment or {}),
    }


def chunks_at_once() -> int:
    """Return the number of pool slots for this machine: at most two, since more engines would compete for memory."""
    return min(2, processors())


def migrate_database(state: LocalState, environment: dict[str, str]) -> None:
    """Create or upgrade Airflow's database, and write its password file.

    Raises:
        LocalError: The migration failed; the message contains the end of its output.
    """
    write_private(
        state.airflow_home / "passwords.json", {user: state.secret(f"{user}-password") for user in (ADMIN, VIEWER)}
    )
    log = state.logs / "migrate.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise LocalError(
            f"Airflow could not migrate its database (exit code {done.returncode}):\n{tail(log)}\n"
            f"The full log is {log}. `make clean` removes the state, so that the next start creates a new database"
        )


def airflow_services(state: LocalState, environment: dict[str, str]) -> list[Service]:
    """Return Airflow's four processes, ready to be started."""
    return [
        Service(
            name,
            (sys.executable, "-m", "airflow", *arguments),
            environment,
            state.logs / f"{arguments[0]}.log",
        )
        for name, arguments in _SERVICES.items()
    ]
