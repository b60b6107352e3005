"""The engine's command line, built by one function for every runtime."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cloudseg_ops import __version__
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri

ENGINE_MODULE = "cloudseg_ops.engine"


def engine_arguments(
    layout: RunLayout,
    chunk: dict[str, Any],
    *,
    input_bucket: str,
    asked: datetime | None = None,
    device: str = "auto",
    options: Sequence[str] = (),
    previews: str = "some",
) -> list[str]:
    """Return the arguments of `python -m cloudseg_ops.engine` for one chunk.

    Args:
        layout: The run's files.
        chunk: `{index, uri, objects, bytes}`, as returned by `plan_chunks`.
        input_bucket: The input bucket.
        asked: When the task that starts the engine began; timezone-aware.
        device: Device for the forward passes: `auto`, `cuda` or `cpu`.
        options: Further options, which override the ones above.
        previews: Images that get a preview: `some`, `all` or `none`.
    """
    index = int(chunk["index"])
    return [
        "--chunk",
        str(chunk["uri"]),
        "--chunk-index",
        str(index),
        "--model",
        str(layout.model),
        "--input",
        str(GcsUri(input_bucket)),
        "--output",
        str(layout.output),
        "--results",
        str(layout.results(index)),
        *(() if previews == "none" else ("--previews", str(layout.previews_folder))),
        *(("--preview-all",) if previews == "all" else ()),
        "--progress",
        str(layout.progress(index)),
        *([] if asked is None else ["--asked", f"{asked.timestamp():.3f}"]),
        *(() if device == "auto" else ("--device", device)),
        "--run-id",
        layout.run_id,
        "--expect-version",
        __version__,
        *options,
    ]
