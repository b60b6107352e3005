"""Reads and checks every CLOUDSEG_* environment variable.

This does no I/O and imports nothing heavy, so a DAG file can do it at parse time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from cloudseg_ops.config.models import PREFIX, ModelSettings
from cloudseg_ops.config.pods import PodSettings
from cloudseg_ops.config.receivers import Receiver
from cloudseg_ops.config.runtimes import RUNTIMES, find_runtime
from cloudseg_ops.config.schedule import check_schedule, check_time_zone, read_schedule
from cloudseg_ops.config.values import (
    Bucket,
    FormatName,
    RuntimeName,
    check_default_revision,
    check_prefix,
    parse_list,
    read_arguments,
    read_extensions,
    read_receiver,
)
from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.objects import IMAGE_TYPES
from cloudseg_ops.contracts.proof import AfterSuccess
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri


class Settings(ModelSettings):
    """Settings of an Airflow environment; field `x` is read from the variable `CLOUDSEG_X`."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    input_bucket: Bucket = Field(description="Bucket that photographs are dropped into")
    output_bucket: Bucket = Field(description="Bucket for masks, quarantine, archive and reports")
    staging_bucket: Bucket = Field(description="Bucket for models and for each run's lists")
    model_repository: str = Field(
        min_length=1, description="Git URL or path of the model registry, a repository under DVC"
    )
    model_revision: Annotated[str, AfterValidator(check_default_revision)] = Field(
        default="main",
        description="Pinned model: an artifact, a version or a stage of it, or a tag, a branch or a commit",
    )
    model_path: str = Field(
        default="model.pt",
        min_length=1,
        description="Path of the weights file in the registry, unless an artifact says its own",
    )
    runtime: RuntimeName = Field(
        default="local",
        description="Where a chunk runs: `local` is a process on the worker, `kubernetes` a pod on the cluster of a "
        "connection, `gke` a pod on a GKE cluster; `package.module:NAME` your own `Runtime`",
    )
    schedule: Annotated[str | None, AfterValidator(check_schedule), BeforeValidator(read_schedule)] = Field(
        default="@daily",
        description="The DAG's schedule: a cron expression, or a preset such as `@daily`; `none`: manual runs only",
    )
    schedule_timezone: Annotated[str, AfterValidator(check_time_zone)] = Field(
        default="UTC", description="Time zone of that schedule, by its IANA name, such as `Europe/Berlin`"
    )
    pubsub_subscription: str | None = Field(
        default=None,
        pattern=r"^projects/[a-z0-9.:-]+/subscriptions/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$",
        description="Pub/Sub subscription to the input bucket's notifications, `projects/P/subscriptions/S`: new "
        "photographs start a run, in addition to the schedule; unset: the schedule only",
    )
    on_failure: Annotated[Receiver | None, BeforeValidator(read_receiver)] = Field(
        default=None,
        description="Where to send a notification when a run fails: a webhook's `https://` address, `conn:` and the "
        "Airflow connection that holds one, or a Python function as `package.module:function`; unset: nowhere",
    )
    input_prefix: Annotated[str, AfterValidator(check_prefix)] = Field(
        default="", description="Default of the param `input_prefix`"
    )
    after_success: AfterSuccess = Field(default="delete", description="Default of the param `after_success`")
    image_types: Annotated[tuple[str, ...], BeforeValidator(read_extensions)] = Field(
        default=IMAGE_TYPES,
        min_length=1,
        description="File extensions of photographs, separated by commas",
    )
    settle_seconds: float = Field(
        default=60, ge=0, description="Objects that changed more recently than this wait for the next run"
    )
    sense_timeout_seconds: float = Field(
        default=3600, gt=0, description="A run that finds nothing new for this long is skipped"
    )
    poke_interval_seconds: float = Field(default=60, gt=0, description="Time between two checks of the input bucket")
    max_chunks: int = Field(default=200, ge=1, le=1024, description="Maximum number of chunks (mapped tasks) in a run")
    chunk_objects: int = Field(
        default=500, ge=1, description="Target images per chunk; raised when a run would exceed `CLOUDSEG_MAX_CHUNKS`"
    )
    pool: str = Field(
        default="cloudseg_gpu", min_length=1, description="Airflow pool that limits how many chunks run at once"
    )
    pool_slots: int | None = Field(
        default=None, ge=1, description="Slots of that pool, for forecasts and `cloudseg pool`; unset: unknown"
    )
    retries: int = Field(default=2, ge=0, le=20, description="Retries of a task")
    segment_retries: int = Field(
        default=4, ge=0, le=50, description="Retries of a chunk; more than of a task, because Spot nodes are preempted"
    )
    previews: Literal["some", "all", "none"] = Field(
        default="some",
        description="Images that get a preview for the report and the gallery: `some` of each chunk, `all`, `none`",
    )
    results_formats: Annotated[tuple[FormatName, ...], BeforeValidator(parse_list)] = Field(
        default=(),
        description="Further files that a run's results are written to, in addition to report.json, separated by "
        "commas: `csv`, one row per image; `package.module:NAME`, your own `ResultsFormat`",
    )
    retry_delay_seconds: float = Field(
        default=60, ge=0, description="Delay before the first retry; doubles with each retry"
    )
    device: Literal["auto", "cuda", "cpu"] | None = Field(
        default=None,
        description="Where the engine computes: `cuda` (fails without a GPU), `cpu`, or `auto` (a GPU if its container "
        "has one). Unset: `cuda` in pods with a GPU, else `auto`",
    )
    engine_options: Annotated[tuple[str, ...], BeforeValidator(read_arguments)] = Field(
        default=(), description="Additional command-line options of the engine, in shell syntax"
    )
    images_per_second: float = Field(
        default=10,
        gt=0,
        description="Rate of one chunk, for forecasts when no report has a measured rate",
    )
    gpu_hour_price: float | None = Field(
        default=None, ge=0, description="Price of a GPU hour in US dollars, for forecasts; unset: no cost is forecast"
    )
    gcp_conn_id: str | None = Field(
        default=None, description="Airflow connection for Cloud Storage; unset: the worker's own identity"
    )

    pods: PodSettings = Field(default=PodSettings(), description="Settings of the runtimes `kubernetes` and `gke`")

    @model_validator(mode="after")
    def _buckets_differ(self) -> Settings:
        if self.input_bucket in (self.output_bucket, self.staging_bucket):
            raise ValueError("INPUT must be a dedicated bucket, or cloudseg would take its own output for input")
        return self

    @model_validator(mode="after")
    def _events_and_clock_agree(self) -> Settings:
        if self.pubsub_subscription and self.schedule in ("@once", "@continuous"):
            raise ValueError(
                f"CLOUDSEG_SCHEDULE={self.schedule} does not work with CLOUDSEG_PUBSUB_SUBSCRIPTION; set it to a cron "
                "expression, a preset such as @daily, or none"
            )
        return self

    @model_validator(mode="after")
    def _runtime_is_complete(self) -> Settings:
        # A team's own runtime is imported, and asked for what it requires, where the DAG is built.
        if self.runtime in RUNTIMES and (missing := RUNTIMES[self.runtime].missing_variables(self)):
            raise ValueError(f"CLOUDSEG_RUNTIME={self.runtime} needs {', '.join(missing)}")
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the variables from the environment; an empty one counts as unset.

        Raises:
            SettingsError: One or more variables are missing or invalid; the message names each.
        """
        source = os.environ if environment is None else environment
        given = {
            key.removeprefix(PREFIX).lower(): value for key, value in source.items() if key.startswith(PREFIX) and value
        }
        pods = {name: given[name] for name in PodSettings.model_fields if name in given}
        try:
            return cls.model_validate({**given, "pods": pods})
        except ValidationError as error:
            lines = [_explain(problem) for problem in error.errors()]
            raise SettingsError(
                "cloudseg's settings are incomplete or invalid:\n  "
                + "\n  ".join(lines)
                + "\nset these variables on the Airflow environment; README.md and docs/settings.md list them all"
            ) from None

    @property
    def engine_device(self) -> str:
        """The engine's --device: `auto`, `cuda` or `cpu`. A pod with a GPU must not silently fall back to the CPU."""
        in_pod_with_gpu = self.pods.gpus > 0 and find_runtime(self).cluster is not None
        return self.device or ("cuda" if in_pod_with_gpu else "auto")

    def layout(self, run_id: str) -> RunLayout:
        """Return where a run's files are in STAGING and OUTPUT."""
        return RunLayout(GcsUri(self.staging_bucket), GcsUri(self.output_bucket), run_id)


def variables() -> list[str]:
    """Return the names of all variables, including those of pods."""
    own = [name for name in Settings.model_fields if name != "pods"]
    return [PREFIX + name.upper() for name in (*own, *PodSettings.model_fields)]


def _explain(problem: Any) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    location = [part for part in problem["loc"] if part != "pods"]
    if not location:  # the problem concerns several variables
        return message
    name = PREFIX + str(location[0]).upper()
    if problem["type"] == "missing":
        return f"{name} is not set: {Settings.model_fields[location[0]].description}"
    # The address of a webhook is its password, and a remote's options may have one by mistake.
    found = "(not shown)" if location[0] in ("on_failure", "model_remote_options") else repr(problem["input"])
    return f"{name} = {found}: {message}"
