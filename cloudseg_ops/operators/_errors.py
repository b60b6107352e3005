"""How a task fails: with its sentence as the last lines of its log, and at once where no retry can help."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NoReturn

from airflow.sdk import BaseOperator
from packaging.version import Version

from cloudseg_ops.contracts.errors import CloudsegError
from cloudseg_ops.operators.remedies import Failure, failure_summary, remedy

FAILURE_KEY = "failure"
"""XCom of a failed try: a `Failure` as JSON."""

# From here on the lines after a failure are in a group that the UI shows folded.
_GROUPING = Version("3.3")


def translate_errors(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate `execute` and what else Airflow calls: errors of cloudseg's leave it without a trace of its insides.

    Those that no retry can fix fail the task at once, the others are left to its retries. The trace is logged for
    log level DEBUG.

    Raises:
        AirflowFailException: No retry can fix it.
        CloudsegError: A retry may.
    """

    @functools.wraps(method)
    def plain(self: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, context, *args, **kwargs)
        except CloudsegError as error:
            _fail(self, context, error)

    return plain


def _fail(operator: Any, context: Any, error: CloudsegError) -> NoReturn:
    # The one home of this exception in all Airflow versions that are supported.
    from airflow.providers.common.compat.sdk import AirflowFailException

    operator.log.debug("where it was raised", exc_info=error)
    try:
        context["ti"].xcom_push(key=FAILURE_KEY, value=Failure.of(error).to_json())
    except Exception as lost:  # noqa: BLE001  the failure itself is what has to be told
        operator.log.debug("the failure could not be pushed as XCom: %s", lost)
    if remedy(error).retry:
        raise error.with_traceback(None) from None
    raise AirflowFailException(f"{type(error).__name__}: {error}") from None


def log_remedy_last(operator: BaseOperator) -> None:
    """Let the last lines of an operator's failed tries say what happened and what to do.

    Airflow logs a failure as its message with the trace below; what it runs after that are the callbacks of the task.
    """
    operator.on_failure_callback = [*operator.on_failure_callback, _say_that_it_failed]
    operator.on_retry_callback = [*operator.on_retry_callback, _say_that_it_is_tried_again]


def _say_that_it_failed(context: Any) -> None:
    _say(context, again=False)


def _say_that_it_is_tried_again(context: Any) -> None:
    _say(context, again=True)


def _say(context: Any, *, again: bool) -> None:
    # None: the task was ended from outside, and this is not its process.
    error = context.get("exception")
    if error is None:
        return
    task_instance, log = context["ti"], context["task"].log
    if Version(version("apache-airflow-core")) >= _GROUPING:
        log.info("::endgroup::")
    attempts = (task_instance.max_tries or 0) + 1
    for line in failure_summary(error, attempt=task_instance.try_number, attempts=attempts, again=again):
        log.error("%s", line)
