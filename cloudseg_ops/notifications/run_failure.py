"""Notifies a receiver of failed runs: the DAG's `on_failure_callback`, which Airflow's DAG processor calls."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from airflow.sdk import BaseNotifier

from cloudseg_ops.config.receivers import Receiver, checked_webhook
from cloudseg_ops.contracts.imports import import_reference
from cloudseg_ops.notifications.message import build_notification, webhook_body
from cloudseg_ops.operators._errors import FAILURE_KEY
from cloudseg_ops.runs.failed_tasks import FailedTask, find_failed_tasks

TIMEOUT_SECONDS = 10.0

log = logging.getLogger(__name__)


class RunFailureNotifier(BaseNotifier):
    """Notifies a receiver of a failed run.

    It never raises, and waits at most `TIMEOUT_SECONDS`, since the processes that parse DAGs call it.

    Args:
        receiver: Who is notified.
    """

    def __init__(self, receiver: Receiver) -> None:
        super().__init__()
        self.receiver = receiver

    def notify(self, context: Any) -> None:
        """Send the notification of the context's run."""
        try:
            send = prepare(self.receiver)
            notification = read_notification(context)
        except Exception as error:  # noqa: BLE001  (a faulty receiver must not stop the DAG processor)
            log.warning("could not notify anyone of the failed run: %s", _format_error(error))
            return
        deliver(send, notification)


def failure_callback(receiver: Receiver | None) -> RunFailureNotifier | None:
    """Return the DAG's `on_failure_callback` for a receiver; None without a receiver."""
    return None if receiver is None else RunFailureNotifier(receiver)


def prepare(receiver: Receiver) -> Callable[[Mapping[str, Any]], None]:
    """Return the function that sends to a receiver; from now on, the receiver's secrets are masked in all logs.

    Raises:
        ValueError: The connection's password is not a webhook's address.
        Exception: Airflow has no such connection, or Python no such function.
    """
    if receiver.kind == "function":
        function: Callable[[Mapping[str, Any]], None] = import_reference(receiver.value)
        return function
    from airflow.sdk.log import mask_secret

    address = receiver.value if receiver.kind == "webhook" else _address_in(receiver.value)
    mask_secret(address)
    return lambda notification: _post(address, notification)


def deliver(
    send: Callable[[Mapping[str, Any]], None], notification: Mapping[str, Any], timeout: float = TIMEOUT_SECONDS
) -> None:
    """Send a notification, waiting at most `timeout` seconds; errors are logged and not raised.

    Args:
        send: The function from `prepare`.
        notification: The notification.
        timeout: Seconds to wait.
    """

    def attempt() -> None:
        try:
            send(notification)
        except Exception as error:  # noqa: BLE001  (a receiver may raise anything)
            log.warning("could not notify anyone of the failed run: %s", _format_error(error))
        else:
            log.info("notified of the failed run %s", notification["run_id"])

    # A connection's own timeout restarts with each byte, so it does not limit the whole call.
    thread = threading.Thread(target=attempt, name="cloudseg-notice", daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        log.warning("the notification of the failed run timed out after %g s", timeout)


def read_notification(context: Any) -> dict[str, Any]:
    """Build the notification from the callback's context and from what Airflow knows about the run."""
    from airflow.configuration import conf

    dag, run_id = context["dag"], str(context["run_id"])
    failed, report = _read_run(dag, run_id)
    return build_notification(
        dag_id=str(dag.dag_id),
        run_id=run_id,
        reason=str(context.get("reason") or "unknown"),
        failed=failed,
        report=report,
        base_url=conf.get("api", "base_url", fallback="http://localhost:8080"),
    )


def _read_run(dag: Any, run_id: str) -> tuple[list[FailedTask], str | None]:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    from airflow.sdk.execution_time.xcom import XCom

    def pushed(key: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        value = XCom.get_one(key=key, dag_id=dag.dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
        return value if isinstance(value, dict) else {}

    try:
        states = RuntimeTaskInstance.get_task_states(dag_id=dag.dag_id, run_ids=[run_id])
        found = find_failed_tasks(states.get(run_id, {}), [task.task_id for task in dag.topological_sort()])
        failed = [replace(task, **pushed(FAILURE_KEY, task.task_id, task.map_index)) for task in found]
        report = pushed("report", "report").get("report_html") if dag.has_task("report") else None
    except Exception as error:  # noqa: BLE001  (an incomplete notification is better than none)
        log.warning("could not read which tasks of the run failed: %s", _format_error(error))
        return [], None
    return failed, report


def _address_in(conn_id: str) -> str:
    from airflow.sdk import BaseHook

    password = BaseHook.get_connection(conn_id).password
    try:
        return checked_webhook(password or "")
    except ValueError:
        raise ValueError(
            f"the Airflow connection {conn_id!r} has no webhook: set its password to an https:// address"
        ) from None


def _post(address: str, notification: Mapping[str, Any]) -> None:
    import requests

    body = webhook_body(address, notification)
    try:
        # A redirect would send the message to another host.
        response = requests.post(address, json=body, timeout=TIMEOUT_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        # The error's own text contains the address, which is secret.
        raise ConnectionError(f"the webhook cannot be reached ({type(error).__name__})") from None
    if response.status_code >= 300:
        raise ConnectionError(f"the webhook answered {response.status_code}")


def _format_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
