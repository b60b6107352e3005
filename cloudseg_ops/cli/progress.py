"""`cloudseg progress`: how far a run is, once or until it ends."""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from typing import Any

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.errors import ObjectNotFoundError, RunError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.runs.progress import RunProgress, read_run_progress
from cloudseg_ops.runs.progress_text import chunk_lines, chunks_line, progress_line
from cloudseg_ops.storage import Store

_LOOK_SECONDS = 5.0
_INTERRUPTED = 130


def add_progress(commands: Any) -> None:
    """Add the command to the parser's."""
    progress = commands.add_parser(
        "progress",
        help="tell how far a run is: images done of all, rate, time left",
        description="Tell how far a run is. Reads the CLOUDSEG_* variables of the environment. Exit code 0: it is "
        "told; 2: it cannot be told.",
    )
    add_run(progress)
    progress.add_argument("--watch", action="store_true", help="look again every five seconds, until the run has ended")
    progress.add_argument("--json", action="store_true", help="print JSON, a line a look")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a run."""
    parser.add_argument("--run", metavar="RUN_ID", help="the run's id, as the Airflow UI shows it")


def show_progress(options: argparse.Namespace) -> int:
    """Print how far a run is.

    Returns:
        0; 130 when the watch is ended from the keyboard.

    Raises:
        RunError: No run is named, or it has no plan.
        CloudsegError: The settings or Cloud Storage do not allow it.
    """
    if options.run is None:
        raise RunError("which run? give its id, as the Airflow UI shows it: `cloudseg progress --run RUN_ID`")
    settings = Settings.from_environment()
    layout = settings.layout(options.run)
    return show_run(Store.open(), layout, watch=options.watch, as_json=options.json, at_once=settings.pool_slots)


def is_over(store: Store, layout: RunLayout, progress: RunProgress) -> bool:
    """Whether the run is over: everything is done, its report was written after its engines, or it is a dry run."""
    if progress.finished or (not progress.chunks and _is_dry(store, layout)):
        return True
    report = store.stat(layout.report_folder / "report.json")
    return report is not None and (progress.updated is None or report.updated >= progress.updated)


def _is_dry(store: Store, layout: RunLayout) -> bool:
    try:
        return bool(json.loads(store.read(layout.plan_json))["dry_run"])
    except ObjectNotFoundError:
        return False


def show_run(store: Store, layout: RunLayout, *, watch: bool, as_json: bool, at_once: int | None) -> int:
    """Print how far a run is, once or until it ends.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        watch: Look again every few seconds.
        as_json: Print a line of JSON a look.
        at_once: Chunks that can run at once; None: unknown.

    Returns:
        0; 130 when the watch is ended from the keyboard.

    Raises:
        RunError: The run has no plan.
    """
    shown = ""
    try:
        while True:
            progress = read_run_progress(store, layout, at_once=at_once)
            if not progress.chunks and not watch:
                raise RunError(
                    f"run {layout.run_id!r} has no plan at {layout.plan}: it has not got that far, is a dry run, or "
                    "its id is another one"
                )
            text = _as_text(layout.run_id, progress, watch=watch, as_json=as_json)
            if text != shown:
                print(text, flush=True)
                shown = text
            if not watch or is_over(store, layout, progress):
                return 0
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _as_text(run_id: str, progress: RunProgress, *, watch: bool, as_json: bool) -> str:
    if as_json:
        return json.dumps({"run_id": run_id, **progress.to_json()})
    if watch:
        return f"{progress_line(progress)} · {chunks_line(progress)}" if progress.chunks else progress_line(progress)
    head = [f"run {run_id}: {progress_line(progress)}", chunks_line(progress)]
    return "\n".join([*head, *chunk_lines(progress, now=datetime.now(UTC))])
