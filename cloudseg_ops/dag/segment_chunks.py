"""Maps the engine over a run's chunks, where `CLOUDSEG_RUNTIME` says."""

from __future__ import annotations

from typing import Any

from cloudseg_ops.config.runtimes import find_runtime
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
        The mapped operator; if chunks run as pods, with a downstream teardown that deletes leftover pods.

    Raises:
        SettingsError: There is no such runtime, or a variable that it requires is not set.
    """
    from cloudseg_ops.operators._label import LABEL_TEMPLATE

    runtime = find_runtime(settings)
    operator = runtime.load_operator()
    if hasattr(operator, "label"):
        task = {"map_index_template": LABEL_TEMPLATE, **task}
    segmented = operator.partial(**runtime.arguments(settings, model), **task).expand(chunk=chunks)
    if runtime.cluster is not None:
        segmented >> _release(settings)
    return segmented


def _release(settings: Settings) -> Any:
    from cloudseg_ops.operators.release_pods import ReleasePodsOperator

    return ReleasePodsOperator(
        settings=settings,
        task_id="release_pods",
        doc_md=help_text("release_pods"),
    ).as_teardown(on_failure_fail_dagrun=True)
