"""Cleans up the inputs of a run that are proven to be processed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.proof import AfterSuccess
from cloudseg_ops.operators._base import RunOperator, timed
from cloudseg_ops.operators._errors import translate_errors
from cloudseg_ops.runs.cleanup import clean_inputs
from cloudseg_ops.runs.snapshots import read_inputs

CLEANUP_KEY = "cleanup"
"""XCom key of a `CleanUp` as JSON."""
_CHOICES = ("delete", "archive", "keep")


class CleanInputsOperator(RunOperator):
    """Deletes, archives or keeps the inputs whose masks, read back from OUTPUT, prove them done.

    Run it even if some chunks failed: inputs with a proof are cleaned up, the rest is left for the next run. Without
    a model, because pulling it failed, nothing can be proven and nothing is touched.

    Args:
        model: What `DVCPullModelOperator` returned; templated; None when it failed.
        after_success: `delete`, `archive` or `keep`; templated.
        task: Arguments of `RunOperator`: buckets, identity, and those of `BaseOperator`.

    Returns by XCom:
        The number of inputs for each value of `runs.cleanup_result.Cleaned`. The key `cleanup` has the same, and the
        names of proven inputs that could not be deleted; it is there even if the task fails.

    Raises:
        InputsNotDeletedError: Some proven inputs could not be deleted or archived; all others are cleaned up.
    """

    template_fields: Sequence[str] = ("model", "after_success")
    ui_color = "#dcfce7"

    def __init__(
        self,
        *,
        model: Any,
        after_success: str,
        **task: Any,
    ) -> None:
        super().__init__(**task)
        self.model = model
        self.after_success = after_success

    @translate_errors
    def execute(self, context: Any) -> dict[str, int]:
        """Clean up the run's inputs and return their counts."""
        if self.after_success not in _CHOICES:
            raise SettingsError(
                f"after_success is {self.after_success!r}, not one of {_CHOICES}; correct the DAG param"
            )
        if not self.model:
            self.log.warning("this run has no model, so no input can be proven and none is deleted")
            return {}
        layout = self.layout(context)
        store = self.open_store()
        with timed(context):
            cleanup = clean_inputs(
                store,
                read_inputs(store, layout.snapshot),
                input_bucket=self.input_bucket,
                output_bucket=self.output_bucket,
                model_digest=ModelRef.from_json(self.model).digest,
                after_success=cast("AfterSuccess", self.after_success),
            )
        self.log.info("inputs: %s", ", ".join(f"{count} {fate}" for fate, count in cleanup.counts.items()))
        # Pushed before the check, so that the report of a failed clean-up has it as well.
        context["ti"].xcom_push(key=CLEANUP_KEY, value=cleanup.to_json())
        cleanup.check()
        return dict(cleanup.counts)
