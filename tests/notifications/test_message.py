from cloudseg_ops.notifications.message import (
    build_notification,
    log_address,
    webhook_body,
)
from cloudseg_ops.runs.failed_tasks import FailedTask, find_failed_tasks

TASKS = ["sense_inputs", "pull_model", "plan_chunks", "segment", "clean_inputs", "report"]
UNKNOWN = FailedTask("pull_model", -1, "UnknownRevisionError", "models.git has no revision 'v9'", "Push the tag.")


def test_failed_tasks_are_in_the_order_of_the_dag() -> None:
    states = {
        "report": "failed", "sense_inputs": "success", "segment_10": "failed", "segment_2": "failed",
        "segment_1": "success", "clean_inputs": "upstream_failed", "pull_model": None,
    }  # fmt: skip
    assert [task.name for task in find_failed_tasks(states, TASKS)] == ["segment[2]", "segment[10]", "report"]


def test_at_most_ten_failed_tasks_are_listed() -> None:
    states = {f"segment_{number}": "failed" for number in range(200)}
    assert [task.map_index for task in find_failed_tasks(states, TASKS)] == list(range(10))


def test_task_id_with_a_mapped_suffix_is_matched_exactly() -> None:
    states = {"segment": "failed", "segment_final": "failed"}
    assert [task.name for task in find_failed_tasks(states, ["segment", "segment_final"])] == [
        "segment",
        "segment_final",
    ]


def test_log_address_points_to_the_ui() -> None:
    run = "scheduled__2026-11-24T00:00:00+00:00"
    assert log_address("http://a/", "d", run) == "http://a/dags/d/runs/scheduled__2026-11-24T00%3A00%3A00%2B00%3A00"
    assert log_address("http://a", "d", "r", FailedTask("report")) == "http://a/dags/d/runs/r/tasks/report"


def _notice(failed: list[FailedTask], report: str | None = None) -> dict[str, object]:
    return build_notification(
        dag_id="clouds", run_id="r1", reason="task_failure", failed=failed, report=report, base_url="http://ui"
    )


def test_notice_has_the_failure_its_cause_and_the_remedy() -> None:
    body = _notice([UNKNOWN, FailedTask("report")], "gs://out/reports/r1/report.html")
    assert str(body["text"]).splitlines() == [
        "clouds: the run r1 failed",
        "pull_model: UnknownRevisionError: models.git has no revision 'v9' (and 1 more)",
        "What to do: Push the tag.",
        "Report: gs://out/reports/r1/report.html",
        "Log: http://ui/dags/clouds/runs/r1/tasks/pull_model",
    ]
    assert body["message"] == "pull_model: UnknownRevisionError: models.git has no revision 'v9' (and 1 more)"
    assert (body["dag_id"], body["run_id"], body["reason"]) == ("clouds", "r1", "task_failure")
    assert body["failed_tasks"] == [UNKNOWN.to_json(), FailedTask("report").to_json()]
    assert body["log"] == "http://ui/dags/clouds/runs/r1/tasks/pull_model"


def test_notice_without_an_error_points_to_the_log() -> None:
    assert _notice([FailedTask("segment", 3)])["message"] == "segment[3]: its log says why"


def test_notice_without_a_failed_task_has_airflows_reason() -> None:
    body = _notice([])
    assert body["message"] == "Airflow's reason: task_failure"
    assert body["log"] == "http://ui/dags/clouds/runs/r1"
    assert body["report"] is None


def test_chat_mentions_in_names_are_escaped() -> None:
    body = _notice([FailedTask("report", -1, "InputsLostError", "<!channel> & co", "")])
    assert "&lt;!channel&gt; &amp; co" in str(body["text"])
    assert "<!channel> & co" in str(body["message"])


def test_google_chat_receives_only_the_text() -> None:
    body = _notice([UNKNOWN])
    assert webhook_body("https://chat.googleapis.com/v1/spaces/x/messages?key=k", body) == {"text": body["text"]}
    assert webhook_body("https://hooks.slack.com/services/T0", body) == body
