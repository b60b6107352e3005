"""Shared by the operators: the three buckets, the identity, templated values, and a timer for the report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from airflow.sdk import BaseOperator

from cloudseg_ops.config.connections import open_store
from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.operators._errors import log_remedy_last
from cloudseg_ops.storage import Store

SECONDS_KEY = "seconds"


class RunOperator(BaseOperator):
    """Base class of the operators; the sensor mixes it in ahead of Airflow's own base class.

    Args:
        input_bucket: Bucket of the photographs.
        staging_bucket: Bucket of models and of the run's files.
        output_bucket: Bucket of masks, quarantine and reports.
        gcp_conn_id: Airflow connection for Cloud Storage; None: the worker's own identity.
        task: Arguments of `BaseOperator`.
    """

    def __init__(
        self, *, input_bucket: str, staging_bucket: str, output_bucket: str, gcp_conn_id: str | None = None, **task: Any
    ) -> None:
        super().__init__(**task)
        log_remedy_last(self)
        self.input_bucket = input_bucket
        self.staging_bucket = staging_bucket
        self.output_bucket = output_bucket
        self.gcp_conn_id = gcp_conn_id

    def layout(self, context: Mapping[str, Any]) -> RunLayout:
        """Return where the run's files are in STAGING and OUTPUT."""
        return RunLayout(GcsUri(self.staging_bucket), GcsUri(self.output_bucket), str(context["run_id"]))

    def open_store(self) -> Store:
        """Connect to Cloud Storage."""
        return open_store(self.gcp_conn_id)


def began(context: Mapping[str, Any]) -> datetime | None:
    """Return when this try of the task began; None outside Airflow's task runner."""
    moment = getattr(context["ti"], "start_date", None)
    return moment if isinstance(moment, datetime) else None


@contextlib.contextmanager
def timed(context: Mapping[str, Any]) -> Iterator[None]:
    """Push the duration of the body as XCom `seconds`; the report lists it by phase."""
    started = time.monotonic()
    yield
    context["ti"].xcom_push(key=SECONDS_KEY, value=round(time.monotonic() - started, 3))


def as_bool(rendered: object) -> bool:
    """Read a flag from a rendered template, which is usually text.

    Raises:
        SettingsError: The value is neither true nor false.
    """
    text = str(rendered).strip().lower()
    if text not in ("true", "false"):
        raise SettingsError(f"{rendered!r} is neither true nor false; correct the DAG param")
    return text == "true"


def as_optional_int(rendered: object) -> int | None:
    """Read an integer from a rendered template; None if it is empty.

    A JSON schema counts 7.0 as an integer, so the API accepts it.

    Raises:
        SettingsError: The value is neither empty nor a whole number.
    """
    text = str(rendered).strip()
    if text in ("", "None", "null"):
        return None
    try:
        return int(text.removesuffix(".0"))
    except ValueError:
        raise SettingsError(f"{rendered!r} is not a whole number; correct the DAG param") from None
