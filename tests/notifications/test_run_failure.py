"""Notifications of a failed run, to a real receiver over HTTP, a function and a connection."""

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cloudseg_ops.config.receivers import Receiver
from cloudseg_ops.notifications.run_failure import deliver, failure_callback, prepare
from tests.support.webhook import Webhook, start_webhook

NOTICE = {"text": "it failed", "run_id": "r1", "failed_tasks": []}
called: list[Mapping[str, Any]] = []


def note(notice: Mapping[str, Any]) -> None:
    called.append(notice)


def refuse(notice: Mapping[str, Any]) -> None:
    raise RuntimeError(f"no pager for {notice['run_id']}")


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with start_webhook() as running:
        yield running


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="cloudseg_ops.notifications.run_failure")
    return caplog


def test_no_receiver_means_no_callback() -> None:
    assert failure_callback(None) is None


def test_webhook_receives_the_notice_as_json(webhook: Webhook, logged: pytest.LogCaptureFixture) -> None:
    deliver(prepare(Receiver.parse(webhook.address)), NOTICE)
    assert webhook.received == [NOTICE]
    assert "notified of the failed run r1" in logged.text


def test_webhook_address_is_read_from_a_connection(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MY_WEBHOOK", f'{{"conn_type": "http", "password": "{webhook.address}"}}')
    deliver(prepare(Receiver.parse("conn:my_webhook")), NOTICE)
    assert webhook.received == [NOTICE]


def test_connection_without_a_webhook_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_EMPTY", '{"conn_type": "http", "password": "very-secret"}')
    with pytest.raises(ValueError, match="'empty' has no webhook: set its password to an https:// address") as raised:
        prepare(Receiver.parse("conn:empty"))
    assert "very-secret" not in str(raised.value)


def test_function_is_called_with_the_notice() -> None:
    called.clear()
    deliver(prepare(Receiver.parse(f"{__name__}:note")), NOTICE)
    assert called == [NOTICE]


def test_failing_function_is_logged(logged: pytest.LogCaptureFixture) -> None:
    deliver(prepare(Receiver.parse(f"{__name__}:refuse")), NOTICE)
    assert "could not notify anyone of the failed run: RuntimeError: no pager for r1" in logged.text


@pytest.mark.parametrize("status", [302, 404, 500])
def test_http_error_of_a_webhook_is_logged_without_its_address(
    webhook: Webhook, logged: pytest.LogCaptureFixture, status: int
) -> None:
    webhook.status = status
    deliver(prepare(Receiver.parse(webhook.address)), NOTICE)
    assert f"the webhook answered {status}" in logged.text
    assert "very-secret" not in logged.text


def test_unreachable_webhook_is_logged_without_its_address(logged: pytest.LogCaptureFixture) -> None:
    with start_webhook() as gone:
        address = gone.address
    deliver(prepare(Receiver.parse(address)), NOTICE)
    assert "the webhook cannot be reached (ConnectionError)" in logged.text
    assert "very-secret" not in logged.text


def test_hanging_webhook_times_out(webhook: Webhook, logged: pytest.LogCaptureFixture) -> None:
    webhook.hang.clear()
    began = time.monotonic()
    deliver(prepare(Receiver.parse(webhook.address)), NOTICE, timeout=0.5)
    assert time.monotonic() - began < 5
    assert "timed out after 0.5 s" in logged.text


@pytest.mark.parametrize("text", ["conn:nowhere", "no.such.module:page", f"{__name__}:absent"])
def test_callback_with_a_missing_receiver_does_not_raise(text: str, logged: pytest.LogCaptureFixture) -> None:
    callback = failure_callback(Receiver.parse(text))
    assert callback is not None
    callback({"dag": None, "run_id": "r1"})
    assert "could not notify anyone of the failed run" in logged.text


def test_callback_is_an_airflow_notifier() -> None:
    from airflow.sdk import BaseNotifier

    callback = failure_callback(Receiver.parse(f"{__name__}:note"))
    assert isinstance(callback, BaseNotifier)
    assert "note" not in repr(callback.receiver)


def test_notification_is_sent_if_airflow_has_no_task_states() -> None:
    from airflow.sdk import DAG

    called.clear()
    callback = failure_callback(Receiver.parse(f"{__name__}:note"))
    assert callback is not None
    for run_id in ("r1", "r2"):
        callback({"dag": DAG("clouds", schedule=None), "run_id": run_id, "reason": "task_failure"})
    assert [notice["run_id"] for notice in called] == ["r1", "r2"]
    assert called[0]["message"] == "Airflow's reason: task_failure"
