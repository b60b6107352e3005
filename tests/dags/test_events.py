"""Events and failures under a real Airflow: photographs start runs, DAGs follow, failures send notifications.

Pub/Sub is `tests.support.pubsub`, which implements a part of it; the trigger, its client and the triggerer are real.
"""

import json
import time
from collections.abc import Iterator

import pytest

from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET
from tests.dags.event_stack import FOLLOWER, SUBSCRIPTION, EventStack, start_event_stack
from tests.support import tiny
from tests.support.running import RunningAirflow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("events")]


@pytest.fixture(scope="module")
def event_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStack]:
    with start_event_stack(tmp_path_factory.mktemp("events")) as running:
        yield running


@pytest.fixture
def idle(event_stack: EventStack) -> EventStack:
    """The same stack with empty buckets, without unfinished runs or notifications."""
    airflow = event_stack.airflow
    airflow.wait_for(lambda: True if not airflow.api.unfinished_runs(DAG_ID) else None, 120)
    airflow.empty_inputs()
    event_stack.webhook.received.clear()
    event_stack.webhook.status = 200
    return event_stack


def test_photograph_starts_a_run_and_a_dag_follows_it(idle: EventStack) -> None:
    airflow, known, followed = idle.airflow, idle.run_ids(), idle.run_ids(FOLLOWER)
    airflow.upload({"arrived/a.png": tiny.photograph(1, 64, 48), "arrived/broken.jpg": b"no image"})
    began = time.monotonic()
    idle.notify("arrived/a.png")
    run_id = idle.new_run(known)
    print(f"a run {time.monotonic() - began:.1f} s after the notification")
    assert time.monotonic() - began < 20
    assert idle.wait_for_end(run_id) == "success", airflow.tasks(run_id)
    assert airflow.names(OUTPUT_BUCKET, "arrived/") == ["arrived/a.png.mask.png"]
    assert idle.pubsub.backlog(SUBSCRIPTION) == 0

    follower = idle.new_run(followed, FOLLOWER)
    assert idle.wait_for_end(follower, FOLLOWER) == "success"
    path = f"/dags/{FOLLOWER}/dagRuns/{follower}/taskInstances/read/xcomEntries/return_value"
    value = airflow.api._send("GET", path, params={"deserialize": False}).json()["value"]
    (extra,) = json.loads(value) if isinstance(value, str) else value
    assert extra["run_id"] == run_id
    assert extra["masks"] == f"gs://{OUTPUT_BUCKET}"
    assert (extra["counts"]["done"], extra["counts"]["quarantined"]) == (1, 1)
    assert 0 <= extra["cloud_fraction"] <= 1
    assert extra["model"]["revision"] == "v2"
    assert extra["report_html"] == str(airflow.layout(run_id).report_folder / "report.html")


def test_time_schedule_continues_along_with_events(event_stack: EventStack) -> None:
    def clock() -> str | None:
        found: str | None = event_stack.airflow.api._send("GET", f"/dags/{DAG_ID}").json()["next_dagrun_run_after"]
        return found

    # While the maximum number of runs is active, Airflow does not report the next one.
    assert "-01-01T00:00:00" in event_stack.airflow.wait_for(clock, 60)


def test_many_notifications_start_few_runs(idle: EventStack) -> None:
    airflow, known = idle.airflow, idle.run_ids()
    names = [f"many/{number}.png" for number in range(12)]
    airflow.upload({name: tiny.photograph(number, 64, 48) for number, name in enumerate(names)})
    for name in names:
        idle.notify(name)
    airflow.wait_for(lambda: idle.pubsub.backlog(SUBSCRIPTION) == 0 or None, 120)
    idle.new_run(known)
    airflow.wait_for(lambda: not airflow.api.unfinished_runs(DAG_ID) or None, 180)
    time.sleep(5)
    airflow.wait_for(lambda: not airflow.api.unfinished_runs(DAG_ID) or None, 120)
    started = [run for run in idle.runs() if run["dag_run_id"] not in known]
    assert 1 <= len(started) <= 3, [run["dag_run_id"] for run in started]
    assert {run["state"] for run in started} == {"success"}
    assert len(airflow.names(OUTPUT_BUCKET, "many/")) == 12
    assert airflow.names(INPUT_BUCKET) == []


def test_notification_without_new_objects_is_a_skipped_run(idle: EventStack) -> None:
    known, followed = idle.run_ids(), idle.run_ids(FOLLOWER)
    idle.notify("gone.png")
    run_id = idle.new_run(known)
    assert idle.wait_for_end(run_id) == "success"
    assert set(idle.airflow.tasks(run_id)["report"]) == {"skipped"}
    time.sleep(5)
    assert idle.run_ids(FOLLOWER) == followed


def test_missing_subscription_is_logged_and_retried(idle: EventStack) -> None:
    log = idle.airflow.stack.state.logs / "triggerer.log"
    known, before = idle.run_ids(), len(log.read_text())
    kept = idle.pubsub.subscriptions.pop(SUBSCRIPTION)
    try:
        idle.airflow.wait_for(
            lambda: f"Error pulling messages from subscription {SUBSCRIPTION}" in log.read_text()[before:] or None, 60
        )
        time.sleep(10)
        print(f"{log.read_text()[before:].count('Error pulling')} lines of it in 10 s")
    finally:
        idle.pubsub.subscriptions[SUBSCRIPTION] = kept
    idle.notify("back.png")
    assert idle.wait_for_end(idle.new_run(known)) == "success"


def test_dry_run_emits_no_event(idle: EventStack) -> None:
    followed = idle.run_ids(FOLLOWER)
    idle.airflow.upload({"dry/a.png": tiny.photograph(1, 64, 48)})
    assert idle.airflow.run(dry_run=True)[1] == "success"
    time.sleep(5)
    assert idle.run_ids(FOLLOWER) == followed


def test_unknown_revision_fails_at_once_and_sends_a_notification(idle: EventStack) -> None:
    airflow, followed = idle.airflow, idle.run_ids(FOLLOWER)
    airflow.upload({"unknown/a.png": tiny.photograph(1, 64, 48)})
    run_id, state = airflow.run(model_revision="v9")
    assert (state, airflow.task(run_id, "pull_model").tries) == ("failed", 1)
    outcome, cause, remedy = idle.last_lines(run_id, "pull_model")
    assert outcome == "Try 1 of 2 failed, and a retry cannot fix it, so there is none."
    assert cause.startswith("What happened: UnknownRevisionError: ")
    assert "no revision 'v9'; its tags are v2, v1" in cause
    assert remedy.startswith("What to do: Push the tag")
    assert idle.last_lines(run_id, "report")[1].startswith("What happened: RunIncompleteError: no chunk was planned")

    airflow.wait_for(lambda: idle.webhook.received or None, 60)
    time.sleep(5)
    (message,) = idle.webhook.received
    assert (message["dag_id"], message["run_id"], message["reason"]) == (DAG_ID, run_id, "task_failure")
    assert [task["task_id"] for task in message["failed_tasks"]] == ["pull_model", "report"]
    assert message["message"].startswith("pull_model: UnknownRevisionError: ")
    assert message["report"] == str(airflow.layout(run_id).report_folder / "report.html")
    assert message["log"].startswith(f"{airflow.stack.state.ui_url}/dags/{DAG_ID}/runs/manual__")
    assert "What to do: Push the tag" in message["text"]
    assert "very-secret" not in _all_logs(airflow)
    assert idle.run_ids(FOLLOWER) == followed


def test_temporary_error_is_retried(idle: EventStack) -> None:
    airflow = idle.airflow
    airflow.upload({"refused/0.png": tiny.photograph(0, 64, 48)})
    with airflow.faults({"action": "status", "status": 501, "path": r"/refused/0\.png.*alt=media", "times": 1000}):
        run_id, state = airflow.run()
    assert (state, airflow.task(run_id, "segment").tries) == ("failed", 2)
    first, last = (idle.last_lines(run_id, "segment", attempt) for attempt in (1, 2))
    assert first[0] == "Try 1 of 2 failed; Airflow tries again."
    assert last[0] == "Try 2 of 2 failed; it was the last one."
    for lines in (first, last):
        assert lines[1].startswith("What happened: ChunkUnfinishedError: chunk 0 ")
        assert "501" in lines[1]
        assert lines[2].startswith("What to do: ")
    airflow.wait_for(lambda: idle.webhook.received or None, 60)
    time.sleep(5)
    (message,) = idle.webhook.received
    assert [(task["task_id"], task["map_index"]) for task in message["failed_tasks"]] == [
        ("segment", 0),
        ("report", -1),
    ]


def test_hanging_receiver_does_not_affect_the_run(idle: EventStack) -> None:
    airflow = idle.airflow
    airflow.upload({"hanging/a.png": tiny.photograph(1, 64, 48)})
    idle.webhook.hang.clear()
    try:
        assert airflow.run(model_revision="v9")[1] == "failed"
        airflow.wait_for(lambda: idle.webhook.received or None, 60)
        airflow.wait_for(lambda: "notification of the failed run timed out" in _all_logs(airflow) or None, 60)
    finally:
        idle.webhook.hang.set()
    assert airflow.run()[1] == "success"
    airflow.wait_for(lambda: airflow.api.healthy() or None, 60)
    assert "very-secret" not in _all_logs(airflow)


def test_invalid_settings_are_an_import_error_with_a_remedy(idle: EventStack) -> None:
    broken = idle.dags / "broken.py"
    broken.write_text(
        "# Airflow reads only files that have the words airflow and dag in them.\n"
        "from cloudseg_ops.config.settings import Settings\n"
        "Settings.from_environment({'CLOUDSEG_INPUT_BUCKET': 'photos'})\n"
    )
    try:
        errors = idle.airflow.wait_for(
            lambda: idle.airflow.api._send("GET", "/importErrors").json()["import_errors"] or None, 90
        )
    finally:
        broken.unlink()
    last = errors[0]["stack_trace"].strip().splitlines()
    assert last[-1].startswith("set these variables on the Airflow environment")
    assert any(line.strip().startswith("CLOUDSEG_STAGING_BUCKET is not set") for line in last[-5:])


def _all_logs(airflow: RunningAirflow) -> str:
    state = airflow.stack.state
    files = [*state.logs.rglob("*.log"), *(state.airflow_home / "logs").rglob("*.log")]
    return "\n".join(path.read_text(errors="replace") for path in files)
