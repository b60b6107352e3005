"""How a task fails: its log ends with what to do, and an error that a retry cannot fix fails it immediately."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NoReturn

from airflow.sdk import BaseOperator
from packaging.version import Version

from cloudseg_ops.contracts.errors import CloudsegError
from cloudseg_ops.operators.failures import Failure, failure_summary, remedy

FAILURE_KEY = "failure"
"""XCom key of a failed try: a `Failure` as JSON."""

# Since this version, the UI collapses the lines after a failure into a group.
_GROUPING = Version("3.3")


def translate_errors(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate `execute` and the other methods that Airflow calls: re-raise our errors without a traceback.

    An error that a retry cannot fix fails the task immediately; other errors are left to the task's retries. The
    traceback is logged at DEBUG.

    Raises:
        AirflowFailException: A retry cannot fix the error.
        CloudsegError: A retry may succeed.
    """

    @functools.wraps(method)
    def plain(self: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, context, *args, **kwargs)
        except CloudsegError as error:
            _fail(self, context, error)

    return plain


def _fail(operator: Any, context: Any, error: CloudsegError) -> NoReturn:
    # The only import path of this exception in all supported Airflow versions.
    from airflow.providers.common.compat.sdk import AirflowFailException

    operator.log.debug("traceback of the error:", exc_info=error)
    try:
        context["ti"].xcom_push(key=FAILURE_KEY, value=Failure.of(error).to_json())
    except Exception as push_error:  # noqa: BLE001  (it must not hide the error itself)
        operator.log.debug("could not push the failure as XCom: %s", push_error)
    if remedy(error).retry:
        raise error.with_traceback(None) from None
    raise AirflowFailException(f"{type(error).__name__}: {error}") from None


def log_remedy_last(operator: BaseOperator) -> None:
    """End the log of an operator's failed tries with what happened and what to do.

    Airflow logs an error with its traceback and then runs the task's callbacks, so the callbacks write the last lines.
    """
    operator.on_failure_callback = [*operator.on_failure_callback, _log_failure]
    operator.on_retry_callback = [*operator.on_retry_callback, _log_retry]


def _log_failure(context: Any) -> None:
    _log_remedy(context, again=False)


def _log_retry(context: Any) -> None:
    _log_remedy(context, again=True)


def _log_remedy(context: Any, *, again: bool) -> None:
    # Without an exception, the task was ended from outside and this is another process.
    error = context.get("exception")
    if error is None:
        return
    task_instance, log = context["ti"], context["task"].log
    if Version(version("apache-airflow-core")) >= _GROUPING:
        log.info("::endgroup::")
    attempts = (task_instance.max_tries or 0) + 1
    for line in failure_summary(error, attempt=task_instance.try_number, attempts=attempts, again=again):
        log.error("%s", line)
