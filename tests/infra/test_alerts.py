"""The alerts of deploy/terraform against the log lines of the code."""

from __future__ import annotations

import re

from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.report import Report
from cloudseg_ops.report.summary import figures_line
from cloudseg_ops.report.verdict import Level, Verdict
from tests.infra.reading import NAMES, only
from tests.infra.terraform import Plan, Terraform
from tests.support.commands import DOCS, ROOT


def _logged(filters: str, line: str, field: str) -> bool:
    """Whether the text of a log entry of `report` passes a filter."""
    patterns = re.findall(rf'^{re.escape(field)}=~"([^"]*)"$', filters, re.MULTILINE)
    assert patterns
    return all(re.search(pattern, line) for pattern in patterns)


def _figures(lost: int, quarantined: int) -> str:
    report = Report(
        counts={"quarantined": quarantined},
        unfinished_chunks=(),
        lost=lost,
        failed_tasks=(),
        verdict=Verdict(Level.GOOD, "", ""),
        json_uri=GcsUri("output"),
        html_uri=GcsUri("output"),
        head={"objects": 1000},
    )
    # A line of Airflow's task log, with any prefix of Composer.
    return f"[2026-11-24T00:10:00Z] INFO - {figures_line(report)}"


def test_alert_on_lost_inputs_matches_the_line_of_the_report(autopilot: Plan, terraform: Terraform) -> None:
    nested = terraform.plan(NAMES | {"task_log_field": "jsonPayload.message"})
    for plan, field in ((autopilot, "textPayload"), (nested, "jsonPayload.message")):
        policy = plan.resources["google_monitoring_alert_policy.inputs_lost"]
        (condition,) = policy["conditions"][0]["condition_matched_log"]
        assert _logged(condition["filter"], _figures(lost=12, quarantined=0), field)
        assert not _logged(condition["filter"], _figures(lost=0, quarantined=12), field)
        assert not _logged(condition["filter"], "[…] INFO - Every input accounted for: gs://output/report.html", field)


def test_quarantined_share_is_extracted_from_the_line(autopilot: Plan) -> None:
    metric = autopilot.resources["google_logging_metric.quarantined_share"]
    line = _figures(lost=0, quarantined=51)
    assert _logged(metric["filter"], line, "textPayload")
    extracted = re.fullmatch(r'REGEXP_EXTRACT\(textPayload, "(.*)"\)', metric["value_extractor"])
    assert extracted
    found = re.search(extracted[1], line)
    assert found
    assert float(found[1]) == 0.051
    policy = autopilot.resources["google_monitoring_alert_policy.quarantined"]
    (condition,) = policy["conditions"][0]["condition_prometheus_query_language"]
    assert condition["query"].count(f"logging_googleapis_com:user_{metric['name']}_") == 2
    assert condition["query"].endswith("> 0.05")


def test_logs_of_the_report_task_are_filtered(autopilot: Plan) -> None:
    dag = (ROOT / "dags" / "cloud_segmentation.py").read_text(encoding="utf-8")
    filters = autopilot.resources["google_logging_metric.quarantined_share"]["filter"]
    assert 'labels.workflow="cloud_segmentation"' in filters
    assert 'dag_id="cloud_segmentation"' in dag
    assert 'labels.task-id="report"' in filters
    assert re.search(r'RunReportOperator\(\s+task_id="report"', dag)


def test_alerts_use_the_channels_of_their_project(everything: Plan) -> None:
    for policy in everything.of("google_monitoring_alert_policy").values():
        channels = policy["notification_channels"]
        assert len(channels) == (2 if policy["project"] == "my-airflow" else 1), policy["display_name"]


def test_without_daily_runs_there_is_no_missed_run_alert(autopilot: Plan, everything: Plan) -> None:
    (config,) = only(autopilot, "google_composer_environment")["config"]
    assert config["software_config"][0]["env_variables"]["CLOUDSEG_SCHEDULE"] == "none"
    assert "google_monitoring_alert_policy.no_success[0]" not in autopilot.resources
    policy = everything.resources["google_monitoring_alert_policy.no_success[0]"]
    (condition,) = policy["conditions"][0]["condition_prometheus_query_language"]
    assert "[26h]" in condition["query"]


def test_guide_step_for_daily_runs_enables_that_alert() -> None:
    guide = " ".join((DOCS / "composer.md").read_text(encoding="utf-8").split())
    _, found, rest = guide.partition("1. Set `CLOUDSEG_SCHEDULE=@daily`")
    assert found
    assert "`hours_without_success = 26`" in rest.partition(" 2. ")[0]
