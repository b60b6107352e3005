"""Figures computed from the results, and the report."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.figures import best_setting, decoding_bounds, ratio, target_line
from benchmarks.gpu.records import Records, read_records
from benchmarks.gpu.report import write_report


def setting(
    rate: float, *, agreement: float = 1.0, runner: str = "eager", workload: str = "unet31m-256"
) -> dict[str, Any]:
    return {
        "kind": "setting",
        "workload": workload,
        "setting": {"runner": runner, "batch": 8},
        "description": f"{runner} at {rate}",
        "images_per_second": rate,
        "agreement": agreement,
        "tflops": rate / 10,
        "of_floor": 0.5,
        "peak_bytes": 2**30,
    }


def run(rate: float, *, agreement: float | None = 1.0) -> dict[str, Any]:
    return {
        "kind": "engine",
        "workload": "unet31m-256",
        "io_processes": "8",
        "images_per_second": rate,
        "agreement": agreement,
        "cpu_seconds_per_image": 0.004,
        "cpus": 3.0,
        "gpu_percent": 80,
        "gpu_peak_bytes": 2**31,
        "processes": 9,
        "masks": 1000,
        "storage_cpu_seconds": 0.0005,
        "storage_workers": 4,
        "by_second": [10, 20],
    }


DECODE = {
    "kind": "decode",
    "workload": "unet31m-256",
    "side": 256,
    "cores": 16,
    "per_core": 500.0,
    "all_cores": 7000.0,
    "masks_encoded_per_core": 5000.0,
}


def test_best_setting_needs_agreeing_masks() -> None:
    bare = [setting(100), setting(900, agreement=0.99), setting(200), setting(300, runner="compile")]
    best, without = best_setting(bare, "unet31m-256"), best_setting(bare, "unet31m-256", compiled=False)
    assert best
    assert best["images_per_second"] == 300
    assert without
    assert without["images_per_second"] == 200
    assert best_setting(bare, "example-256") is None


def test_ratio_is_none_without_both_rates() -> None:
    assert ratio(run(850), setting(1000)) == pytest.approx(0.85)
    assert ratio(None, setting(1000)) is None
    assert ratio(run(850), None) is None


@pytest.mark.parametrize(("rate", "verdict"), [(900, "0.90, reached"), (800, "0.80, NOT reached")])
def test_target_line_says_whether_the_target_is_reached(rate: float, verdict: str) -> None:
    assert verdict in target_line([setting(1000)], [run(rate)])
    assert "not measured" in target_line([setting(1000)], [run(rate, agreement=0.9)])


@pytest.mark.parametrize(
    ("bare", "decoding", "cpu"), [(3000.0, False, False), (5000.0, False, True), (8000.0, True, True)]
)
def test_decoding_bounds(bare: float, decoding: bool, cpu: bool) -> None:
    (bound,) = decoding_bounds([setting(bare)], [DECODE, run(2000)])
    assert bound.decoding_cores == pytest.approx(bare / 500)
    assert bound.engine_cores == pytest.approx(bare * 0.004)
    assert (bound.decoding_binds, bound.cpu_binds) == (decoding, cpu)


def test_report_without_results_says_not_measured(tmp_path: Path) -> None:
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text("utf-8")
    assert text.count("Not measured.") >= 5
    assert "Not run." in text


def test_report_of_incomplete_results(tmp_path: Path) -> None:
    for name, records in {"bare": [setting(8000)], "engine": [DECODE, run(6800)]}.items():
        for one in records:
            Records(tmp_path / f"{name}.jsonl").write(**one)
    Records(tmp_path / "machine.jsonl").skip("part start", "cut after 45 s")
    # A record that a killed process left incomplete.
    with (tmp_path / "engine.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"kind": "engine", "workl')
    (tmp_path / "tests.txt").write_text("tests/cuda/test_a.py::test_b PASSED\n", "utf-8")
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "unet31m-256: 0.85, reached" in text
    assert "unet31m-256: decoding binds" in text
    assert "| 85.0% |\n" in text  # the storage's four processes
    assert "| eager at 8000 | 8000 | 800 | 50.0% | 1.00 | 100.0% | 8000 |" in text
    assert "part start: cut after 45 s" in text
    assert "Cut: 1 had passed." in text
    assert len(read_records(tmp_path / "engine.jsonl")) == 2


def test_invalid_results_only_affect_their_section(tmp_path: Path) -> None:
    Records(tmp_path / "bare.jsonl").write("setting", workload="unet31m-256", nothing="else")
    Records(tmp_path / "machine.jsonl").write("part", name="bare", seconds=3, exit_code=0)
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "This section could not be written: KeyError" in text
    assert "| bare | 3.00 | 0 |" in text
