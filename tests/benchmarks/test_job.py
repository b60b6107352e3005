from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.engine import steady_rate
from benchmarks.job import Job, Timestamps, steady_window


def test_job_round_trip(tmp_path: Path) -> None:
    params = {"architecture": "unet", "in_channels": 3, "n_classes": 1}
    job = Job("in", "out", "w.pt", params, "unet", str(tmp_path), 2, uniform=False)
    assert Job.read(job.write(tmp_path / "job.json")) == job
    assert job.model_params.n_classes == 1


def test_window_is_from_first_fetch_to_last_result(tmp_path: Path) -> None:
    marks = Timestamps(tmp_path)
    assert steady_window(marks.read()) is None
    marks.record_start()
    first = marks.read()["began"]
    marks.record_start()
    assert marks.read()["began"] == first
    marks.record_end()
    early = marks.read()["ended"]
    marks.record_end()
    found = steady_window(marks.read())
    assert found
    assert found[0] == first[0]
    assert found[1] > early[0]


def test_engine_rate_is_measured_over_its_later_masks() -> None:
    # Slow at first, while a queue fills; then two per second.
    seconds = [10.0, 10.1, 10.2, 10.3, 10.8, 11.3, 11.8, 12.3]
    assert steady_rate(datetime.fromtimestamp(second, UTC) for second in reversed(seconds)) == pytest.approx(2.0)
