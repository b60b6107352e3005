"""Where a chunk runs: one choice, `CLOUDSEG_RUNTIME`, behind one function."""

from __future__ import annotations

from typing import Any

from cloudseg_ops.settings import Settings


def segment_chunks(settings: Settings, chunks: Any, **task: Any) -> Any:
    """Map the engine over a run's chunks.

    Args:
        settings: `settings.runtime` chooses the operator.
        chunks: XComArg of a list of `{index, uri, objects, bytes}`.
        task: Arguments of the task itself, such as `task_id` and `pool`.

    Returns:
        The mapped operator.
    """
    from cloudseg_ops.operators.segment_local import LocalSegmentOperator

    return LocalSegmentOperator.partial(
        input_bucket=settings.input_bucket,
        staging_bucket=settings.staging_bucket,
        output_bucket=settings.output_bucket,
        gcp_conn_id=settings.gcp_conn_id,
        engine_options=settings.engine_options,
        **task,
    ).expand(chunk=chunks)
