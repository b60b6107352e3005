"""The real Airflow of the local setup: its environment, its database and its four processes."""

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
"""Sees runs, and may start or change none."""
DAG_ID = "cloud_segmentation"
_SERVICES = {
    "API server": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "DAG processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def airflow_environment(
    state: LocalState, overrides: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of every process of the setup: Airflow's settings and cloudseg's.

    Args:
        state: The state folder and ports.
        overrides: Variables of cloudseg, in lower case and without their prefix, that are to differ from the local
            setup's own.
        environment: Further environment variables, which win over all others.
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
        # A worker that was killed is noticed soon; on a laptop there is no network to wait for.
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
        # Airflow may notice a task's end 6 s late, and takes a sensor that looks again before then for a failed one.
        "poke_interval_seconds": 7,
        "sense_timeout_seconds": 30,
        "retry_delay_seconds": 2,
        # Photographs are deleted once their masks are proven: a newcomer is to see them in the gallery nevertheless.
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
        # Airflow renames its processes, which would write over the environment by which they are found again.
        "SPT_NOENV": "1",
        MARKER: str(state.root),
        **(environment or {}),
    }


def chunks_at_once() -> int:
    """Slots of the pool on this machine: two engines overlap their start-up, more would fight for memory."""
    return min(2, processors())


def migrate_database(state: LocalState, environment: dict[str, str]) -> None:
    """Create or upgrade Airflow's database, and write the logins down.

    Raises:
        LocalError: Airflow could not; the message has the end of its output.
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
            f"Airflow could not prepare its database (exit code {done.returncode}):\n{tail(log)}\n"
            f"`make clean` starts afresh; the whole log is {log}"
        )


def airflow_services(state: LocalState, environment: dict[str, str]) -> list[Service]:
    """Airflow's four processes."""
    return [
        Service(
            name,
            (sys.executable, "-m", "airflow", *arguments),
            environment,
            state.logs / f"{arguments[0]}.log",
        )
        for name, arguments in _SERVICES.items()
    ]
