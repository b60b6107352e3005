"""Segments the clouds in new photographs in the input bucket, and writes masks to the output bucket.

wait for new photographs → pull the model → plan chunks → segment them → clean up proven inputs → report
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, TriggerRule

from cloudseg_ops import (
    CleanInputsOperator,
    DVCPullModelOperator,
    GCSNewObjectsSensor,
    PlanChunksOperator,
    RunReportOperator,
    Settings,
    dag_schedule,
    failure_callback,
    help_text,
    masks_asset,
    revision_choices,
    segment_chunks,
)
from cloudseg_ops.contracts.objects import MAX_NAME_BYTES, PREFIX_PATTERN
from cloudseg_ops.contracts.revisions import ADDRESS_PATTERN
from cloudseg_ops.contracts.versions import RELEASE

settings = Settings.from_environment()
where: dict[str, Any] = {
    "input_bucket": settings.input_bucket,
    "staging_bucket": settings.staging_bucket,
    "output_bucket": settings.output_bucket,
    "gcp_conn_id": settings.gcp_conn_id,
}

with DAG(
    dag_id="cloud_segmentation",
    dag_display_name="Cloud segmentation",
    description="Segments the photographs in the input bucket, with exactly one model revision per run",
    doc_md=help_text("dag"),
    schedule=dag_schedule(settings),
    catchup=False,
    max_active_runs=1,
    on_failure_callback=failure_callback(settings.on_failure),
    tags=["cloudseg", "segmentation", RELEASE],
    default_args={
        "owner": "cloudseg",
        "retries": settings.retries,
        "retry_delay": timedelta(seconds=settings.retry_delay_seconds),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
    },
    params={
        "model_revision": Param(
            settings.model_revision,
            type="string",
            pattern=ADDRESS_PATTERN,
            examples=revision_choices(settings.model_repository, settings.model_revision),
            title="Model revision",
            description="Artifact (clouds), version (clouds@v1.2.0), stage (clouds#prod), tag, branch or commit of the "
            "model registry; the run uses exactly the commit that it means now. Clear the field to see the stages, "
            "versions, newest tags and branches that the last run or `cloudseg revisions --refresh` found; any other "
            "revision is accepted as well.",
        ),
        "input_prefix": Param(
            # The trigger form treats an empty string as a missing value, so an empty prefix is null.
            settings.input_prefix or None,
            type=["null", "string"],
            maxLength=MAX_NAME_BYTES,
            pattern=PREFIX_PATTERN,
            title="Input prefix",
            description="Take only objects whose names begin with this, such as 2026/08/, without gs:// and bucket. "
            "Leave empty to take all.",
        ),
        "after_success": Param(
            settings.after_success,
            type="string",
            enum=["delete", "archive", "keep"],
            values_display={
                "delete": "delete it",
                "archive": "archive it: move it below archive/ in the output bucket",
                "keep": "keep it: the next run finds it again",
            },
            title="After success",
            description="What to do with an input once its mask, read back, proves it done.",
        ),
        "max_objects": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=10_000_000,
            title="Maximum objects",
            description="Take at most this many objects, up to ten million; the rest is left for the next run. Leave "
            "empty to take all.",
        ),
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="Plan and estimate time and cost, then stop: nothing is segmented, nothing is deleted.",
        ),
    },
) as dag:
    new_objects = GCSNewObjectsSensor(
        task_id="sense_inputs",
        doc_md=help_text("sense_inputs"),
        prefix="{{ params.input_prefix or '' }}",
        max_objects="{{ params.max_objects }}",
        image_types=settings.image_types,
        settle_seconds=settings.settle_seconds,
        poke_interval=settings.poke_interval_seconds,
        timeout=settings.sense_timeout_seconds,
        soft_fail=True,
        **where,
    )
    model = DVCPullModelOperator(
        task_id="pull_model",
        doc_md=help_text("pull_model"),
        repository=settings.model_repository,
        revision="{{ params.model_revision }}",
        path=settings.model_path,
        params_section=settings.model_params,
        remote=settings.model_remote,
        remote_options=settings.model_remote_options,
        remote_conn_id=settings.model_remote_conn_id,
        revisions=settings.model_revisions,
        signers=settings.model_signers,
        allowed_operators=settings.allowed_operators,
        **where,
    )
    chunks = PlanChunksOperator(
        task_id="plan_chunks",
        doc_md=help_text("plan_chunks"),
        snapshot=new_objects.output,
        model=model.output,
        plan_only="{{ params.dry_run }}",
        after_success="{{ params.after_success }}",
        chunk_objects=settings.chunk_objects,
        max_chunks=settings.max_chunks,
        at_once=settings.pool_slots,
        images_per_second=settings.images_per_second,
        gpu_hour_price=settings.gpu_hour_price,
        **where,
    )
    segmented = segment_chunks(
        settings,
        chunks.output,
        model.output,
        task_id="segment",
        doc_md=help_text("segment"),
        pool=settings.pool,
        retries=settings.segment_retries,
    )
    cleaned = CleanInputsOperator(
        task_id="clean_inputs",
        doc_md=help_text("clean_inputs"),
        model=model.output,
        after_success="{{ params.after_success }}",
        # Runs after failures, but not in a skipped run or a dry run.
        trigger_rule=TriggerRule.NONE_SKIPPED,
        **where,
    )
    report = RunReportOperator(
        task_id="report",
        doc_md=help_text("report"),
        snapshot=new_objects.output,
        model=model.output,
        chunks=chunks.output,
        after_success="{{ params.after_success }}",
        prefix="{{ params.input_prefix or '' }}",
        results_formats=settings.results_formats,
        outlets=[masks_asset()],
        phases={"sense": "sense_inputs", "pull": "pull_model", "plan": "plan_chunks", "clean": "clean_inputs"},
        trigger_rule=TriggerRule.NONE_SKIPPED,
        **where,
    )

    new_objects >> model >> chunks >> segmented >> cleaned >> report
