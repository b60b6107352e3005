"""Cleans up the inputs that are proven to have been dealt with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.operators._base import RunOperator, timed
from cloudseg_ops.operators._errors import translate_errors
from cloudseg_ops.runs.cleanup import AfterSuccess, clean_inputs
from cloudseg_ops.runs.snapshots import read_inputs

_CHOICES = ("delete", "archive", "keep")


class CleanInputsOperator(RunOperator):
    """Deletes, archives or keeps the inputs whose masks, read back from OUTPUT, prove them done.

    It is to run also when some chunks failed: what is proven is cleaned up, the rest is left for the next run.
    Without a model (pulling it failed) nothing can be proven, and nothing is touched.

    Args:
        model: What `DVCPullModelOperator` returned; templated; None when it failed.
        after_success: `delete`, `archive` or `keep`; templated.
        task: Buckets and identity, as `RunOperator` takes them, and Airflow's own arguments.

    Returns by XCom:
        How many inputs were deleted, archived, kept, left, gone and changed.
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
        """Clean up."""
        if self.after_success not in _CHOICES:
            raise SettingsError(
                f"after_success is {self.after_success!r}, not one of {_CHOICES}; correct the DAG param"
            )
        if not self.model:
            self.log.warning("this run has no model, so nothing is proven and nothing is deleted")
            return {}
        layout = self.layout(context)
        store = self.open_store()
        with timed(context):
            counts = clean_inputs(
                store,
                read_inputs(store, layout.snapshot),
                input_bucket=self.input_bucket,
                output_bucket=self.output_bucket,
                model_digest=ModelRef.from_json(self.model).digest,
                after_success=cast("AfterSuccess", self.after_success),
            )
        self.log.info("inputs: %s", ", ".join(f"{count} {fate}" for fate, count in counts.items()))
        return counts
