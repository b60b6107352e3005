"""Prints a run's progress to the terminal: the current task, images done, time left."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence

from cloudseg_local.airflow_api import AirflowApi, AirflowUnreachableError, TaskState
from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.audits import local_layout
from cloudseg_ops.runs.progress import read_run_progress
from cloudseg_ops.runs.progress_text import progress_line
from cloudseg_ops.storage import Store

TASKS = ("sense_inputs", "pull_model", "plan_chunks", "segment", "clean_inputs", "report", "release_pods")
_FINISHED = ("success", "failed", "skipped", "upstream_failed", "removed")
_MAX_SILENCE_SECONDS = 60.0
_POLL_SECONDS = 1.0
_REFRESH_SECONDS = 2.0
_STALLED_SECONDS = 30.0


def print_line(line: str) -> None:
    """Print one line and flush it, so that it also appears immediately in a pipe."""
    print(line, flush=True)


def follow_run(
    api: AirflowApi,
    store: Store,
    run_id: str,
    *,
    slots: int,
    check: Callable[[], None],
    on_stall: Callable[[], None],
) -> str:
    """Print a run's progress until it ends, and return its final state.

    Args:
        api: Airflow.
        store: The emulator.
        run_id: The run.
        slots: Number of chunks that run concurrently.
        check: Called before each poll; restarts services that have died.
        on_stall: Called when tasks have been queued, and none running, for 30 s.

    Raises:
        AirflowUnreachableError: Airflow did not answer for a minute.
    """
    meter, stall = _Meter(slots), Stall()
    shown = ""
    answered = time.monotonic()
    while True:
        check()
        try:
            state = api.run_state(DAG_ID, run_id)
            tasks = api.task_states(DAG_ID, run_id)
        except AirflowUnreachableError:
            if time.monotonic() - answered > _MAX_SILENCE_SECONDS:
                raise
            time.sleep(1)
            continue
        answered = time.monotonic()
        if stall.is_stalled(tasks, answered):
            on_stall()
        line = f"  {describe(tasks)}{meter.read(store, run_id) if _segmenting(tasks) else ''}"
        if line != shown:
            _show(line)
            shown = line
        if state in ("success", "failed"):
            return state
        time.sleep(_POLL_SECONDS)


def describe(tasks: Sequence[TaskState]) -> str:
    """Return a phrase for the state of a run: the first unfinished task, with the states of its instances."""
    for task_id in TASKS:
        instances = [task for task in tasks if task.task_id == task_id]
        if all(task.state in _FINISHED for task in instances):
            continue
        states = Counter(task.state or "waiting" for task in instances)
        if task_id != "segment" or len(instances) == 1:
            return f"{task_id}: {', '.join(states)}"
        return f"{task_id}: " + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return "finished"


class Stall:
    """Detects that tasks are queued while none runs.

    Airflow's LocalExecutor hangs in this state forever if one of its idle workers is killed while it holds the lock of
    the shared queue.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def is_stalled(self, tasks: Sequence[TaskState], now: float) -> bool:
        """Return whether the run has been stalled for 30 s; if so, the 30 s start again.

        Args:
            tasks: The run's task instances.
            now: Current time on the monotonic clock, in seconds.
        """
        states = {task.state for task in tasks}
        if "queued" not in states or "running" in states:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        if now - self._since < _STALLED_SECONDS:
            return False
        self._since = None
        return True


class _Meter:
    """Reads a run's progress no more often than its engines report it."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._text = ""
        self._next = 0.0

    def read(self, store: Store, run_id: str) -> str:
        looked = time.monotonic()
        if looked >= self._next:
            self._next = looked + _REFRESH_SECONDS
            self._text = f" · {progress_line(read_run_progress(store, local_layout(run_id), at_once=self._slots))}"
        return self._text


def _segmenting(tasks: Sequence[TaskState]) -> bool:
    return any(task.task_id == "segment" and task.state not in (None, *_FINISHED) for task in tasks)


def _show(line: str) -> None:
    stamp = time.strftime("%H:%M:%S")
    sys.stdout.write(f"{stamp}{line}\n")
    sys.stdout.flush()
