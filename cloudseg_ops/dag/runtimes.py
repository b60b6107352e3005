"""Where a chunk runs: one choice, `CLOUDSEG_RUNTIME`, behind two functions."""

from __future__ import annotations

from typing import Any

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.dag.help import help_text


def segment_chunks(settings: Settings, chunks: Any, model: Any, **task: Any) -> Any:
    """Map the engine over a run's chunks.

    Args:
        settings: `settings.runtime` chooses the operator.
        chunks: XComArg of a list of `{index, uri, objects, bytes}`.
        model: XComArg of the run's `ModelRef` as a mapping.
        task: Arguments of the task itself, such as `task_id` and `pool`.

    Returns:
        The mapped operator; where chunks run as pods, with a teardown behind it that clears the cluster.
    """
    from cloudseg_ops.operators._label import LABEL_TEMPLATE

    task = {"map_index_template": LABEL_TEMPLATE, **task}
    if settings.runtime == "local":
        return _local(settings, chunks, **task)
    segmented = _pod_operator(settings).partial(settings=settings, model=model, **task).expand(chunk=chunks)
    segmented >> _release(settings)
    return segmented


def _local(settings: Settings, chunks: Any, **task: Any) -> Any:
    from cloudseg_ops.operators.segment_local import LocalSegmentOperator

    return LocalSegmentOperator.partial(
        input_bucket=settings.input_bucket,
        staging_bucket=settings.staging_bucket,
        output_bucket=settings.output_bucket,
        gcp_conn_id=settings.gcp_conn_id,
        device=settings.engine_device,
        engine_options=settings.engine_options,
        previews=settings.previews,
        **task,
    ).expand(chunk=chunks)


def _pod_operator(settings: Settings) -> Any:
    # Each brings its provider along, seconds of a parse: only the one chosen is imported.
    if settings.runtime == "gke":
        from cloudseg_ops.operators.segment_gke import GKESegmentOperator

        return GKESegmentOperator
    from cloudseg_ops.operators.segment_kubernetes import KubernetesSegmentOperator

    return KubernetesSegmentOperator


def _release(settings: Settings) -> Any:
    from cloudseg_ops.operators.release_pods import ReleasePodsOperator

    return ReleasePodsOperator(
        settings=settings,
        task_id="release_pods",
        doc_md=help_text("release_pods"),
    ).as_teardown(on_failure_fail_dagrun=True)
