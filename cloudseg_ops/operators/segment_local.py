"""Runs the engine on a chunk in a subprocess of the worker: the `local` runtime."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any

from cloudseg_ops.contracts.engine_command import ENGINE_MODULE, engine_arguments
from cloudseg_ops.contracts.engine_failure import PERMANENT_EXIT, permanent_failure
from cloudseg_ops.contracts.errors import ChunkUnfinishedError, VersionMismatchError
from cloudseg_ops.links.operator_links import RunFolderLink, show_folder
from cloudseg_ops.operators._base import RunOperator, began
from cloudseg_ops.operators._errors import translate_errors
from cloudseg_ops.operators._label import LabelledChunk

# The engine stops within 20 s of a SIGTERM; the rest is for its log to arrive.
_GRACE_SECONDS = 25
_MISMATCH = 3


class LocalSegmentOperator(LabelledChunk, RunOperator):
    """Segments one chunk in a subprocess and logs the engine's lines.

    Args:
        chunk: `{index, uri, objects, bytes}`; templated; map over it.
        device: Where the engine computes: `auto`, `cuda` or `cpu`.
        engine_options: Further options of the engine.
        previews: Which images get a preview: `some`, `all` or `none`.
        task: Arguments of `RunOperator`: buckets, and those of `BaseOperator`.

    Raises:
        ChunkUnfinishedError: The engine left images unaccounted for; a retry resumes where it stopped.
        CloudsegError: The engine failed in a way that a retry cannot fix; the class is that of its error.
        VersionMismatchError: The installed cloudseg is of another version than the DAG.
    """

    template_fields: Sequence[str] = ("chunk",)
    ui_color = "#fee2e2"
    operator_extra_links = (RunFolderLink(),)

    def __init__(
        self,
        *,
        chunk: Any,
        device: str = "auto",
        engine_options: Sequence[str] = (),
        previews: str = "some",
        **task: Any,
    ) -> None:
        super().__init__(**task)
        self.chunk = chunk
        self.device = device
        self.engine_options = tuple(engine_options)
        self.previews = previews
        self._engine: subprocess.Popen[str] | None = None

    @translate_errors
    def execute(self, context: Any) -> None:
        """Run the engine and wait for it."""
        layout = self.layout(context)
        show_folder(context, RunFolderLink, layout.folder)
        arguments = engine_arguments(
            layout,
            self.chunk,
            input_bucket=self.input_bucket,
            asked=began(context),
            device=self.device,
            options=("--tether", *self.engine_options),
            previews=self.previews,
        )
        last: deque[str] = deque(maxlen=3)
        # The engine holds the reading end of this pipe, so it stops when this process dies for any reason.
        with subprocess.Popen(  # noqa: S603  (the arguments are ours)
            [sys.executable, "-m", ENGINE_MODULE, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        ) as self._engine:
            for line in self._engine.stdout or ():
                self.log.info(line.rstrip())
                last.append(line.strip())
                self.on_log_line(line, context)
            code = self._engine.wait()
        if code == _MISMATCH:
            raise VersionMismatchError(last[-1].partition("VersionMismatchError: ")[2] if last else "see the log")
        where = f"chunk {self.chunk['index']} ({self.chunk['uri']})"
        if code == PERMANENT_EXIT and (failure := permanent_failure(last, where)):
            raise failure
        if code != 0:
            raise ChunkUnfinishedError(
                f"{where}: the engine ended with exit code {code}: "
                f"{' | '.join(last)}; the masks so far are kept, and a retry does the rest"
            )

    def on_kill(self) -> None:
        """Stop the engine with SIGTERM, so that it finishes the work in flight; kill it if that takes too long."""
        if self._engine is None or self._engine.poll() is not None:
            return
        self._engine.terminate()
        try:
            self._engine.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._engine.kill()
