from cloudseg_ops.notifications.message import (
    log_address,
    notice,
    webhook_body,
)
from cloudseg_ops.runs.failed_tasks import FailedTask, failed_among

TASKS = ["sense_inputs", "pull_model", "plan_chunks", "segment", "clean_inputs", "report"]
UNKNOWN = FailedTask("pull_model", -1, "UnknownRevisionError", "models.git has no revision 'v9'", "Push the tag.")


def test_the_failed_tasks_in_the_order_of_the_dag() -> None:
    states = {
        "report": "failed", "sense_inputs": "success", "segment_10": "failed", "segment_2": "failed",
        "segment_1": "success", "clean_inputs": "upstream_failed", "pull_model": None,
    }  # fmt: skip
    assert [task.name for task in failed_among(states, TASKS)] == ["segment[2]", "segment[10]", "report"]


def test_few_of_many_failed_tasks_are_told() -> None:
    states = {f"segment_{number}": "failed" for number in range(200)}
    assert [task.map_index for task in failed_among(states, TASKS)] == list(range(10))


def test_names_that_look_like_mapped_ones() -> None:
    states = {"segment": "failed", "segment_final": "failed"}
    assert [task.name for task in failed_among(states, ["segment", "segment_final"])] == ["segment", "segment_final"]


def test_addresses_of_the_ui() -> None:
    run = "scheduled__2026-11-24T00:00:00+00:00"
    assert log_address("http://a/", "d", run) == "http://a/dags/d/runs/scheduled__2026-11-24T00%3A00%3A00%2B00%3A00"
    assert log_address("http://a", "d", "r", FailedTask("report")) == "http://a/dags/d/runs/r/tasks/report"


def _told(failed: list[FailedTask], report: str | None = None) -> dict[str, object]:
    return notice(
        dag_id="clouds", run_id="r1", reason="task_failure", failed=failed, report=report, base_url="http://ui"
    )


def test_a_notice_says_what_failed_why_and_what_to_do() -> None:
    told = _told([UNKNOWN, FailedTask("report")], "gs://out/reports/r1/report.html")
    assert str(told["text"]).splitlines() == [
        "clouds: the run r1 failed",
        "pull_model: UnknownRevisionError: models.git has no revision 'v9' (and 1 more)",
        "What to do: Push the tag.",
        "Report: gs://out/reports/r1/report.html",
        "Log: http://ui/dags/clouds/runs/r1/tasks/pull_model",
    ]
    assert told["message"] == "pull_model: UnknownRevisionError: models.git has no revision 'v9' (and 1 more)"
    assert (told["dag_id"], told["run_id"], told["reason"]) == ("clouds", "r1", "task_failure")
    assert told["failed_tasks"] == [UNKNOWN.to_json(), FailedTask("report").to_json()]
    assert told["log"] == "http://ui/dags/clouds/runs/r1/tasks/pull_model"


def test_a_notice_of_a_task_that_left_no_word() -> None:
    assert _told([FailedTask("segment", 3)])["message"] == "segment[3]: its log says why"


def test_a_notice_of_a_run_without_a_failed_task() -> None:
    told = _told([])
    assert told["message"] == "Airflow's reason: task_failure"
    assert told["log"] == "http://ui/dags/clouds/runs/r1"
    assert told["report"] is None


def test_a_name_cannot_call_everybody_in_a_chat() -> None:
    told = _told([FailedTask("report", -1, "InputsLostError", "<!channel> & co", "")])
    assert "&lt;!channel&gt; &amp; co" in str(told["text"])
    assert "<!channel> & co" in str(told["message"])


def test_a_chat_that_refuses_unknown_fields_is_sent_the_text_alone() -> None:
    told = _told([UNKNOWN])
    assert webhook_body("https://chat.googleapis.com/v1/spaces/x/messages?key=k", told) == {"text": told["text"]}
    assert webhook_body("https://hooks.slack.com/services/T0", told) == told
