import json
import logging
import time

import pytest

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.engine.process.logs import JsonFormatter
from cloudseg_ops.engine.scheduling.progress import ProgressReporter
from cloudseg_ops.engine.scheduling.result_log import ResultLog

SOURCES = [InputObject(f"{index}.jpg", 1, 1, "") for index in range(10)]


def test_lines_report_images_done_rate_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    result_log = ResultLog(len(SOURCES))
    result_log.record(0, SOURCES[0], Result(SOURCES[0], Outcome.SKIPPED))
    with ProgressReporter(result_log, 0.05):
        result_log.record(1, SOURCES[1], Result(SOURCES[1], Outcome.DONE))
        result_log.record(2, SOURCES[2], ValueError("no"))
        time.sleep(0.2)
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert [line["event"] for line in lines][-1] == "summary"
    assert len([line for line in lines if line["event"] == "progress"]) >= 2
    last = lines[-2]
    assert (last["done"], last["total"], last["failures"]) == (2, 10, 1)
    assert last["outcomes"] == {"done": 1, "skipped": 1}
    assert 0 < last["images_per_second"] < 100  # the skipped image does not count
    assert last["seconds_left"] == pytest.approx(8 / last["images_per_second"], rel=0.05)
    assert last["severity"] == "INFO"
    assert "2 of 10 images" in last["message"]


def test_skipped_images_do_not_count_toward_the_rate(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    result_log = ResultLog(len(SOURCES))
    with ProgressReporter(result_log, 60):
        for index in range(5):
            result_log.record(index, SOURCES[index], Result(SOURCES[index], Outcome.SKIPPED))
    summary = json.loads(JsonFormatter().format(caplog.records[-1]))
    assert (summary["done"], summary["images_per_second"]) == (5, 0.0)


def test_the_time_left_is_unknown_before_the_first_image(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with ProgressReporter(ResultLog(10), 0.05):
        time.sleep(0.12)
    assert "time left unknown" in caplog.text
    assert json.loads(JsonFormatter().format(caplog.records[0]))["seconds_left"] is None


def test_a_traceback_stays_in_its_json_line() -> None:
    error = ValueError("broken")
    record = logging.LogRecord("x", logging.ERROR, "", 0, "it failed", (), (ValueError, error, None))
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "ValueError: broken" in json.loads(line)["message"]
