from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.engine import steady_seconds
from benchmarks.job import Job, Marks, steady_window
from cloudseg_ops.objects import InputObject
from cloudseg_ops.results import Outcome, Result


def test_a_job_comes_back_as_it_went(tmp_path: Path) -> None:
    params = {"architecture": "unet", "in_channels": 3, "n_classes": 1}
    job = Job("in", "out", "w.pt", params, "unet", str(tmp_path), 2, uniform=False)
    assert Job.read(job.write(tmp_path / "job.json")) == job
    assert job.model_params.n_classes == 1


def test_the_window_is_from_first_fetch_to_last_result(tmp_path: Path) -> None:
    marks = Marks(tmp_path)
    assert steady_window(marks.read()) is None
    marks.began()
    first = marks.read()["began"]
    marks.began()
    assert marks.read()["began"] == first
    marks.ended()
    early = marks.read()["ended"]
    marks.ended()
    found = steady_window(marks.read())
    assert found
    assert found[0] == first[0]
    assert found[1] > early[0]


def test_the_engines_window_is_read_from_its_results() -> None:
    def result(name: str, outcome: Outcome, seconds: float) -> Result:
        return Result(InputObject(name, 1, 10, "AAAAAA=="), outcome, seconds=seconds)

    results = [
        result("a.jpg", Outcome.DONE, 2.0),
        result("b.jpg", Outcome.DONE, 5.0),
        result("c.jpg", Outcome.QUARANTINED, 50.0),
    ]
    written = {
        "a.jpg.mask.png": datetime.fromtimestamp(100, UTC),
        "b.jpg.mask.png": datetime.fromtimestamp(104, UTC),
    }
    # b began at 99, a at 98; b was there last.
    assert steady_seconds(results, written) == pytest.approx(6.0)
