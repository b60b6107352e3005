"""Reads and checks every CLOUDSEG_* environment variable.

This does no I/O and imports nothing heavy, so a DAG file can do it at parse time.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from cloudseg_ops.config.extensions import check_name
from cloudseg_ops.config.pods import PodSettings
from cloudseg_ops.config.receivers import Receiver
from cloudseg_ops.config.results_formats import RESULTS_FORMATS
from cloudseg_ops.config.runtimes import RUNTIMES, find_runtime
from cloudseg_ops.contracts.errors import InvalidRevisionError, SettingsError
from cloudseg_ops.contracts.objects import IMAGE_TYPES, MAX_NAME_BYTES, PREFIX_PATTERN
from cloudseg_ops.contracts.revisions import check_revision
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri

PREFIX = "CLOUDSEG_"

# cloud.google.com/storage/docs/buckets#naming
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


def _bucket(text: str) -> str:
    if not _BUCKET.fullmatch(text):
        raise ValueError("a bucket's name has 3 or more lower-case letters, digits, '-', '_' or '.', without gs://")
    return text


def _revision(text: str) -> str:
    try:
        return check_revision(text)
    except InvalidRevisionError as error:
        raise ValueError(str(error)) from None


def _prefix(text: str) -> str:
    if not re.match(PREFIX_PATTERN, text) or len(text) > MAX_NAME_BYTES:
        raise ValueError(
            f"give the start of object names, without gs:// and bucket: at most {MAX_NAME_BYTES} characters on one line"
        )
    return text


def _words(value: Any) -> Any:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


def _extensions(value: Any) -> Any:
    return tuple(word.lower().removeprefix(".") for word in _words(value)) if isinstance(value, str) else value


def _schedule(value: Any) -> Any:
    return None if isinstance(value, str) and value.lower() == "none" else value


def _arguments(value: Any) -> Any:
    return tuple(shlex.split(value)) if isinstance(value, str) else value


def _receiver(value: Any) -> Any:
    return Receiver.parse(value) if isinstance(value, str) else value


Bucket = Annotated[str, AfterValidator(_bucket)]
RuntimeName = Annotated[str, AfterValidator(lambda name: check_name(name, RUNTIMES))]
FormatName = Annotated[str, AfterValidator(lambda name: check_name(name, RESULTS_FORMATS))]
AfterSuccess = Literal["delete", "archive", "keep"]


class Settings(BaseModel):
    """Settings of an Airflow environment; field `x` is read from the variable `CLOUDSEG_X`."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    input_bucket: Bucket = Field(description="Bucket that photographs are dropped into")
    output_bucket: Bucket = Field(description="Bucket for masks, quarantine, archive and reports")
    staging_bucket: Bucket = Field(description="Bucket for models and for each run's lists")
    model_repository: str = Field(
        min_length=1, description="Git URL or path of the model registry, a repository under DVC"
    )
    model_revision: Annotated[str, AfterValidator(_revision)] = Field(
        default="main", description="Pinned revision: a tag, a branch or a commit"
    )
    model_path: str = Field(default="model.pt", min_length=1, description="Path of the weights file in the registry")
    runtime: RuntimeName = Field(
        default="local",
        description="Where a chunk runs: `local` is a process on the worker, `kubernetes` a pod on the cluster of a "
        "connection, `gke` a pod on a GKE cluster; `package.module:NAME` your own `Runtime`",
    )
    schedule: Annotated[str | None, BeforeValidator(_schedule)] = Field(
        default="@daily", description="The DAG's schedule, in Airflow's syntax; `none`: manual runs only"
    )
    pubsub_subscription: str | None = Field(
        default=None,
        pattern=r"^projects/[a-z0-9.:-]+/subscriptions/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$",
        description="Pub/Sub subscription to the input bucket's notifications, `projects/P/subscriptions/S`: new "
        "photographs start a run, in addition to the schedule; unset: the schedule only",
    )
    on_failure: Annotated[Receiver | None, BeforeValidator(_receiver)] = Field(
        default=None,
        description="Where to send a notification when a run fails: a webhook's `https://` address, `conn:` and the "
        "Airflow connection that holds one, or a Python function as `package.module:function`; unset: nowhere",
    )
    input_prefix: Annotated[str, AfterValidator(_prefix)] = Field(
        default="", description="Default of the param `input_prefix`"
    )
    after_success: AfterSuccess = Field(default="delete", description="Default of the param `after_success`")
    image_types: Annotated[tuple[str, ...], BeforeValidator(_extensions)] = Field(
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
    results_formats: Annotated[tuple[FormatName, ...], BeforeValidator(_words)] = Field(
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
    engine_options: Annotated[tuple[str, ...], BeforeValidator(_arguments)] = Field(
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
        """Where the engine is told to compute: `auto`, `cuda` or `cpu`. A pod that is paid for a GPU is to use it."""
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
    # The address of a webhook is its password.
    found = "(not shown)" if location[0] == "on_failure" else repr(problem["input"])
    return f"{name} = {found}: {message}"
