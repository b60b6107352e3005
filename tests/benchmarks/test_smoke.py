"""A short benchmark of a tiny network: limit, engine, the article's loop."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_short_run_measures_and_compares(tmp_path: Path) -> None:
    arguments = [
        *("--rows", "tiny-64-50kB", "--contenders", "a,b,c,d", "--repeats", "1", "--seconds", "0.02"),
        *("--no-compilers", "--lanes", "threads", "--state", str(tmp_path), "--json", str(tmp_path / "out.json")),
        *("--engine-options", "--batch 3 --threads 1"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out.json").read_text("utf-8"))
    row = result["rows"][0]
    runs = {run["contender"]: run for run in row["runs"]}
    for contender in "abc":
        run = runs[contender]
        assert run["error"] is None
        assert run["images"] > 0
        assert run["steady"] > 0
        assert run["cpu_seconds"] > 0.1
        assert run["peak_mib"] > 20
        assert run["agreement"][1] > 0.999
    # The engine's start counts in the time of its process, not in its rate.
    assert runs["b"]["whole"] < runs["b"]["with_cleaning"] < runs["b"]["steady"]
    assert (runs["b"]["images"], runs["c"]["images"]) == (300, 30)
    assert set(row["ratios"]) == {"b/a", "b/c"}
    assert runs["b"]["more"]["log"]["summary"]["done"] == runs["b"]["images"]
    # Three requests of 30 ms for each image, one after the other.
    assert runs["c"]["steady"] < 1 / 0.09
    assert "bench-venv/bin/python" in runs["d"]["error"]
    assert "d  Beam RunInference" in done.stdout
    assert "not installed" in done.stdout
    assert "batch" in row["limit"]["told"]
