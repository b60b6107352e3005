"""Names a mapped task by its chunk in Airflow's own UI, and says there how far it is while it runs."""

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
"""Each update is two writes to Airflow's database, as often as a heartbeat at most."""


def chunk_label(chunk: Mapping[str, Any], said: ChunkStatus | None) -> str:
    """Name a chunk: `chunk 3: 500 images, 12.3 MB`, and `chunk 3: 420 of 500 images, 12.3 MB` once it has begun.

    Args:
        chunk: `{index, uri, objects, bytes}`.
        said: What its engine said last.
    """
    objects = int(chunk["objects"])
    noun = "image" if objects == 1 else "images"
    begun = "" if said is None else f"{said.done:,} of "
    return f"chunk {int(chunk['index'])}: {begun}{objects:,} {noun}, {readable_bytes(int(chunk['bytes']))}"


class LabelledChunk:
    """Mixed into the operators of `segment`, which hand it the engine's log lines."""

    chunk: Any
    _said: ChunkStatus | None = None
    _next_update = 0.0

    @property
    def label(self) -> str:
        """What `LABEL_TEMPLATE` renders: Airflow asks before and after the task runs."""
        return chunk_label(self.chunk, self._said)

    def on_log_line(self, line: str, context: Mapping[str, Any]) -> None:
        """Take in a line of the engine's log; if it says how far the chunk is, tell Airflow, every few seconds."""
        if (said := parse_progress_line(line)) is None:
            return
        self._said = said
        if said.ended or time.monotonic() >= self._next_update:
            self._next_update = time.monotonic() + _PAUSE_SECONDS
            tell_progress(context, self.label, said)


def tell_progress(context: Mapping[str, Any], label: str, said: ChunkStatus) -> None:
    """Set a running task's label and its XCom `progress`; where neither can be done, the chunk goes on all the same."""
    with contextlib.suppress(Exception):
        _set_label(label)
    with contextlib.suppress(Exception):
        context["ti"].xcom_push(
            key=PROGRESS_KEY,
            value={"done": said.done, "total": said.total, "images_per_second": said.images_per_second},
        )


def _set_label(label: str) -> None:
    # As Airflow itself does before and after a task; 3.1 does it after it alone, and has no such message.
    from airflow.sdk.execution_time.comms import SetRenderedMapIndex
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    SUPERVISOR_COMMS.send(SetRenderedMapIndex(rendered_map_index=label))
