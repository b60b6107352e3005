"""run.sh as a whole, on the CPU: every part writes results, and a timeout keeps them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.gpu.__main__ import run_command
from benchmarks.gpu.records import read_records

ROOT = Path(__file__).parents[3]
MOST_FILES = 8
PARTS = ("machine", "tests", "bare", "engine", "profiling", "sharing", "start")


def rehearse(out: Path, *, seconds: int, parts: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "REHEARSE": "1", "LIMIT_SECONDS": str(seconds), "PYTHON": sys.executable}
    command = [str(ROOT / "benchmarks" / "gpu" / "run.sh"), str(out), "--workloads", "1", "--parts", parts]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 30, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(out.iterdir())) <= MOST_FILES
    assert all(path.is_file() for path in out.iterdir())
    return done


def kinds(out: Path, name: str) -> set[str]:
    return {one["kind"] for one in read_records(out / f"{name}.jsonl")}


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_every_part_writes_its_results(tmp_path: Path) -> None:
    done = rehearse(tmp_path, seconds=360, parts=",".join(PARTS))
    parts = {one["name"]: one["exit_code"] for one in read_records(tmp_path / "machine.jsonl") if one["kind"] == "part"}
    assert parts == dict.fromkeys(PARTS, 0)
    assert " passed" in (tmp_path / "tests.txt").read_text("utf-8").splitlines()[-1]
    assert {"machine", "copy", "matmul", "import"} <= kinds(tmp_path, "machine")
    assert {"floor", "setting"} <= kinds(tmp_path, "bare")
    assert {"decode", "engine", "article", "sharing"} <= kinds(tmp_path, "engine")
    assert {"engine", "phases"} <= kinds(tmp_path, "start")
    assert "profile" in kinds(tmp_path, "profile")
    runs = [one for one in read_records(tmp_path / "engine.jsonl") if one["kind"] == "engine"]
    assert {run["io_processes"] for run in runs} == {"1", "auto"}
    assert all(run["images_per_second"] > 0 and run["agreement"] > 0.999 for run in runs)
    skipped = [one for name in ("bare", "engine") for one in read_records(tmp_path / f"{name}.jsonl")]
    reasons = {one["why"] for one in skipped if one["kind"] == "skipped"}
    assert reasons == {"needs CUDA"}
    report = (tmp_path / "report.md").read_text("utf-8")
    assert "Not measured." not in report
    assert report.strip() in done.stdout


@pytest.mark.slow
def test_timeout_keeps_the_results_so_far(tmp_path: Path) -> None:
    wanted = ("machine", "bare", "engine", "profiling")
    began = time.monotonic()
    rehearse(tmp_path, seconds=12, parts=",".join(wanted))
    assert time.monotonic() - began < 20
    report = (tmp_path / "report.md").read_text("utf-8")
    assert {"machine", "copy", "matmul"} <= kinds(tmp_path, "machine")
    assert "TFLOP/s" in report
    assert "part profiling: out of time" in report
    assert all(f"| {name} |" in report or f"part {name}: out of time" in report for name in wanted)


@pytest.mark.slow
def test_hanging_part_is_killed_with_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = (
        "import pathlib, subprocess, sys; started = subprocess.Popen(['sleep', '60']);"
        "pathlib.Path(sys.argv[1]).write_text(str(started.pid)); started.wait()"
    )
    with (tmp_path / "log").open("wb") as log:
        assert run_command([sys.executable, "-c", script, str(child)], 2.0, log) is None
    pid = int(child.read_text("ascii"))
    # There may be no process to reap it.
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_exit_code_of_a_part_is_returned(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        assert run_command([sys.executable, "-c", "print('output'); raise SystemExit(3)"], 30.0, log) == 3
    assert (tmp_path / "log").read_text("utf-8") == "output\n"
