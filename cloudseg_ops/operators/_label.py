"""Labels a mapped task with its chunk in Airflow's UI, and with its progress while it runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from cloudseg_ops.contracts.chunk_status import ChunkStatus, parse_progress_line
from cloudseg_ops.contracts.units import readable_bytes

LABEL_TEMPLATE = "{{ task.label }}"
PROGRESS_KEY = "progress"
_PAUSE_SECONDS = 5.0
"""Minimum time between updates: each writes twice to Airflow's database, so no more often than a heartbeat."""


def chunk_label(chunk: Mapping[str, Any], status: ChunkStatus | None) -> str:
    """Return the label of a chunk: `chunk 3: 500 images, 12.3 MB`, or `chunk 3: 420 of 500 images, …` once it runs.

    Args:
        chunk: `{index, uri, objects, bytes}`.
        status: The last status that its engine logged; None before the first one.
    """
    objects = int(chunk["objects"])
    noun = "image" if objects == 1 else "images"
    begun = "" if status is None else f"{status.done:,} of "
    return f"chunk {int(chunk['index'])}: {begun}{objects:,} {noun}, {readable_bytes(int(chunk['bytes']))}"


class LabelledChunk:
    """Mixin for the `segment` operators: turns the engine's log lines into the task's label and progress."""

    chunk: Any
    _chunk_status: ChunkStatus | None = None
    _next_update = 0.0

    @property
    def label(self) -> str:
        """The label that `LABEL_TEMPLATE` renders; Airflow reads it before and after the task runs."""
        return chunk_label(self.chunk, self._chunk_status)

    def on_log_line(self, line: str, context: Mapping[str, Any]) -> None:
        """Parse a line of the engine's log; every few seconds, pass the chunk's progress on to Airflow."""
        if (status := parse_progress_line(line)) is None:
            return
        self._chunk_status = status
        if status.ended or time.monotonic() >= self._next_update:
            self._next_update = time.monotonic() + _PAUSE_SECONDS
            push_progress(context, self.label, status)


def push_progress(context: Mapping[str, Any], label: str, status: ChunkStatus) -> None:
    """Set the label and the XCom `progress` of a running task; errors are ignored, and the chunk continues.

    Args:
        context: Airflow's context of the task.
        label: The new label.
        status: The status that its engine logged.
    """
    with contextlib.suppress(Exception):
        _set_label(label)
    with contextlib.suppress(Exception):
        context["ti"].xcom_push(
            key=PROGRESS_KEY,
            value={"done": status.done, "total": status.total, "images_per_second": status.images_per_second},
        )


def _set_label(label: str) -> None:
    # Airflow sends this message before and after a task. Airflow 3.1 lacks it, and sets the label only afterwards.
    from airflow.sdk.execution_time.comms import SetRenderedMapIndex
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    SUPERVISOR_COMMS.send(SetRenderedMapIndex(rendered_map_index=label))
