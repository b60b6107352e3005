"""`cloudseg progress`: print the progress of a run, once or until it ends."""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from typing import Any

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.errors import RunError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.runs.progress import RunProgress, read_run_progress
from cloudseg_ops.runs.progress_text import chunk_lines, chunks_line, progress_line
from cloudseg_ops.runs.run_plan import is_dry_run
from cloudseg_ops.storage import Store

_LOOK_SECONDS = 5.0
_INTERRUPTED = 130


def add_progress(commands: Any) -> None:
    """Add the `progress` command to the subparsers."""
    progress = commands.add_parser(
        "progress",
        help="print the progress of a run: images done, rate, time left",
        description="Print the progress of a run. Reads the CLOUDSEG_* environment variables. Exit code 0: success; "
        "2: the progress could not be determined.",
    )
    add_run(progress)
    progress.add_argument("--watch", action="store_true", help="update every five seconds until the run has ended")
    progress.add_argument("--json", action="store_true", help="print JSON, one line per update")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the `--run` option to a command."""
    parser.add_argument("--run", metavar="RUN_ID", help="the run's id, as the Airflow UI shows it")


def show_progress(options: argparse.Namespace) -> int:
    """Print the progress of the run that the options name.

    Returns:
        The exit code: 0, or 130 if the watch was interrupted from the keyboard.

    Raises:
        RunError: No run is given, or it has no plan.
        CloudsegError: The settings are invalid, or Cloud Storage cannot be read.
    """
    if options.run is None:
        raise RunError("no run given; name one by its id in the Airflow UI: `cloudseg progress --run RUN_ID`")
    settings = Settings.from_environment()
    layout = settings.layout(options.run)
    return show_run(Store.open(), layout, watch=options.watch, as_json=options.json, at_once=settings.pool_slots)


def is_over(store: Store, layout: RunLayout, progress: RunProgress) -> bool:
    """Return whether a run has ended: all its chunks are done, its report is newer than its progress, or it is dry.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        progress: The progress of the run.
    """
    if progress.finished or (not progress.chunks and is_dry_run(store, layout)):
        return True
    report = store.stat(layout.report_json)
    return report is not None and (progress.updated is None or report.updated >= progress.updated)


def show_run(store: Store, layout: RunLayout, *, watch: bool, as_json: bool, at_once: int | None) -> int:
    """Print the progress of a run, once or until it ends.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        watch: Whether to update every five seconds.
        as_json: Whether to print one line of JSON per update.
        at_once: Maximum number of concurrent chunks; None: unknown.

    Returns:
        The exit code: 0, or 130 if the watch was interrupted from the keyboard.

    Raises:
        RunError: The run has no plan.
    """
    shown = ""
    try:
        while True:
            progress = read_run_progress(store, layout, at_once=at_once)
            if not progress.chunks and not watch:
                raise RunError(
                    f"run {layout.run_id!r} has no plan at {layout.plan}: it has not planned its chunks yet, it is a "
                    "dry run, or the id is wrong; check the id in the Airflow UI, or wait with --watch"
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
