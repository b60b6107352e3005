"""The engine's command line: one function builds it for every runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudseg_ops import __version__
from cloudseg_ops.layout import RunLayout
from cloudseg_ops.uris import GcsUri

ENGINE_MODULE = "cloudseg_ops.engine"


def engine_arguments(
    layout: RunLayout, chunk: dict[str, Any], *, input_bucket: str, options: Sequence[str] = ()
) -> list[str]:
    """Arguments of `python -m cloudseg_ops.engine` for one chunk.

    Args:
        layout: The run's files.
        chunk: `{index, uri, objects, bytes}`, as `plan_chunks` gave it.
        input_bucket: The input bucket.
        options: Further options, which win over those given here.
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
        "--previews",
        str(layout.previews_folder),
        "--run-id",
        layout.run_id,
        "--expect-version",
        __version__,
        *options,
    ]
