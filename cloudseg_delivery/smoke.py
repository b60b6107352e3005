"""The smoke test of a release: Airflow has parsed it, and a dry run over one photograph succeeds.

A dry run senses inputs, resolves the model and plans chunks: it needs the environment's packages and variables, the
three buckets and the model registry. It starts no pods and does not change photographs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cloudseg_delivery.airflow import DAG_ID, Airflow
from cloudseg_delivery.programs import Programs
from cloudseg_delivery.records import Release
from cloudseg_ops.contracts.errors import CloudsegError, CommandFailedError, SmokeTestError
from cloudseg_ops.contracts.objects import SMOKE_TEST_FOLDER

PHOTOGRAPH = "deploy/smoke/photograph.png"
_LAST_TASK = "plan_chunks"


@dataclass(frozen=True, slots=True)
class Patience:
    """Time limits of a delivery.

    Attributes:
        change_seconds: For Composer to apply a change.
        parse_seconds: For Airflow to parse the release, and for its workers to receive it.
        run_seconds: For the dry run to end.
        poll_seconds: Time between two polls.
    """

    change_seconds: float = 5400
    parse_seconds: float = 900
    run_seconds: float = 1800
    poll_seconds: float = 10


def smoke_test(airflow: Airflow, programs: Programs, release: Release, patience: Patience, *, resume: bool) -> bool:
    """Test the active release with a dry run.

    Args:
        airflow: The environment's Airflow.
        programs: Uploads and deletes the photograph.
        release: The release.
        patience: Time limits.
        resume: Whether to resume a paused DAG for the test.

    Returns:
        Whether a dry run was made. None is made if the DAG stays paused, or if another run would have to end first.

    Raises:
        SmokeTestError: The release does not work; the message says where the test stopped.
    """
    programs.report(f"• waiting until Airflow has parsed {release.name}")
    dag = _await_parse(airflow, release.name, patience)
    if dag["is_paused"]:
        if not resume:
            return False
        if runs := ", ".join(airflow.unfinished_runs()):
            programs.report(f"• no dry run: {runs} would have to end first")
            return False
    prefix = f"{SMOKE_TEST_FOLDER}{release.name}"
    photograph = f"gs://{release.variables['CLOUDSEG_INPUT_BUCKET']}/{prefix}.{_extension(release.variables)}"
    programs.run("gcloud", "storage", "cp", PHOTOGRAPH, photograph)
    try:
        _try(airflow, programs, release, patience, prefix)
    finally:
        _remove(programs, photograph)
    return True


def _try(airflow: Airflow, programs: Programs, release: Release, patience: Patience, prefix: str) -> None:
    deadline = time.monotonic() + patience.parse_seconds
    while True:
        run_id = f"smoke__{release.name}__{time.time_ns() // 1_000_000}"
        programs.report(f"• starting the dry run {run_id}")
        airflow.trigger(run_id, {"dry_run": True, "input_prefix": prefix, "max_objects": 1})
        # Unpause only once the dry run is queued; otherwise a scheduled run that is due would start first.
        airflow.set_paused(False)
        _await_end(airflow, run_id, patience)
        if (running_release := airflow.xcom_value(run_id, _LAST_TASK, "release")) == release.name:
            return
        # Composer syncs the bucket to the workers and to the DAG processor independently.
        if time.monotonic() > deadline:
            raise SmokeTestError(
                f"after {patience.parse_seconds:.0f} s the workers still run release {running_release} instead of "
                f"{release.name}"
            )
        programs.report(f"  the worker still had {running_release}; trying again")
        time.sleep(patience.poll_seconds)


def _await_parse(airflow: Airflow, name: str, patience: Patience) -> Mapping[str, Any]:
    def parsed() -> Mapping[str, Any] | None:
        dag = airflow.dag()
        tags = {tag["name"] for tag in dag["tags"]} if dag else set()
        return dag if name in tags and dag and not dag.get("has_import_errors") else None

    dag: Mapping[str, Any] | None = _wait(parsed, patience.parse_seconds, patience.poll_seconds)
    if dag is None:
        errors = "; ".join(airflow.import_errors()) or "no import errors"
        raise SmokeTestError(
            f"after {patience.parse_seconds:.0f} s Airflow has not parsed {DAG_ID} of release {name}: {errors}"
        )
    return dag


def _await_end(airflow: Airflow, run_id: str, patience: Patience) -> None:
    def ended() -> str | None:
        state = airflow.run_state(run_id)
        return state if state in ("success", "failed") else None

    state = _wait(ended, patience.run_seconds, patience.poll_seconds)
    tasks = airflow.task_states(run_id)
    if state == "success" and tasks.get(_LAST_TASK) == "success":
        return
    if state is None:
        # The DAG allows one active run: this one would block the next.
        _quietly(lambda: airflow.fail_run(run_id))
    problems = ", ".join(f"{task} {state}" for task, state in tasks.items() if state not in (None, "success"))
    raise SmokeTestError(
        f"the dry run {run_id} {f'ended as {state}' if state else f'has not ended in {patience.run_seconds:.0f} s'}, "
        f"{_LAST_TASK} as {tasks.get(_LAST_TASK)} ({problems or 'no task has failed'}); see the logs in Airflow's UI"
    )


def _wait(found: Callable[[], Any], seconds: float, poll: float) -> Any:
    deadline = time.monotonic() + seconds
    while (value := found()) is None and time.monotonic() < deadline:
        time.sleep(poll)
    return value


def _remove(programs: Programs, photograph: str) -> None:
    try:
        programs.run("gcloud", "storage", "rm", photograph)
    except CommandFailedError as error:
        programs.report(f"  could not delete {photograph}, which no run will process: {error}")


def _quietly(call: Callable[[], None]) -> None:
    # Report the original failure, not one of this call.
    with suppress(CloudsegError):
        call()


def _extension(variables: Mapping[str, str]) -> str:
    """Return a file extension that the environment accepts; a dry run does not read the file."""
    types = [word.strip().lstrip(".") for word in variables.get("CLOUDSEG_IMAGE_TYPES", "png").split(",")]
    return "png" if "png" in types else types[0]
