"""Runs the whole DAG over growing numbers of photographs, under a real Airflow, and compares the time per image.

    python -m benchmarks.load --photographs 1000,10000,100000

The photographs are small (64 × 48) and the model is the example's, so that the bookkeeping per image weighs most. They
are written into the emulator's directory before it starts. Memory is the highest resident size of any one process of a
kind; the age of the scheduler's heartbeat is sampled with it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import requests

from benchmarks.load_pages import time_pages
from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.processes import MARKER
from cloudseg_local.state import INPUT_BUCKET
from gcs_emulator.preconditions import Preconditions
from gcs_emulator.store import Store
from tests.support import tiny
from tests.support.running import RunningAirflow, start_airflow

_SAMPLE_SECONDS = 2.0
_PICTURES = 64
_KINDS = {
    "cloudseg_ops.engine": "engine",
    "gcs_emulator": "emulator",
    "airflow scheduler": "scheduler",
    "airflow api": "API server",
    "dag-processor": "DAG processor",
    "triggerer": "triggerer",
    "airflow worker": "task",
}
_PHASES = ("sense", "pull", "plan", "segment", "clean")


@dataclass
class Samples:
    """What was seen while a run went on.

    Attributes:
        mebibytes: Highest resident memory of one process, by kind.
        heartbeat_seconds: Highest age of the scheduler's heartbeat.
    """

    mebibytes: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    heartbeat_seconds: float = 0.0

    def take(self, airflow: RunningAirflow) -> None:
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARKER) != str(airflow.stack.state.root):
                    continue
                command = " ".join(process.cmdline())
                kind = next((kind for words, kind in _KINDS.items() if words in command), "other")
                self.mebibytes[kind] = max(self.mebibytes[kind], process.memory_info().rss / 2**20)
            except psutil.Error:
                continue
        health = requests.get(f"{airflow.stack.state.ui_url}/api/v2/monitor/health", timeout=60).json()
        heartbeat = datetime.fromisoformat(health["scheduler"]["latest_scheduler_heartbeat"])
        self.heartbeat_seconds = max(self.heartbeat_seconds, (datetime.now(UTC) - heartbeat).total_seconds())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", default="1000,10000,100000", help="numbers of photographs, one run each")
    parser.add_argument("--chunk-objects", type=int, default=2500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    numbers = [int(number) for number in options.photographs.split(",")]
    with tempfile.TemporaryDirectory(prefix="cloudseg-load-") as folder:
        seed(Path(folder) / "gcs", numbers)
        settings = {"chunk_objects": options.chunk_objects, "sense_timeout_seconds": 600, "retries": 0}
        with start_airflow(Path(folder), settings) as airflow:
            rows = [measure(airflow, number) for number in numbers]
    print(json.dumps(rows, indent=2) if options.json else table(rows))


def seed(directory: Path, numbers: list[int]) -> None:
    """Write photographs into the directory of an emulator that is not running, under one prefix for each number."""
    pictures = [tiny.photograph(number, 64, 48) for number in range(_PICTURES)]
    store = Store(directory)
    store.insert_bucket(INPUT_BUCKET, {})
    for number in numbers:
        for index in range(number):
            writer = store.writer()
            writer.write(pictures[index % _PICTURES])
            name = f"{prefix_of(number)}station-{index // 1000:03d}/{index:06d}.png"
            store.put(INPUT_BUCKET, name, writer.finish(), {"contentType": "image/png"}, Preconditions())
    store.close()


def prefix_of(number: int) -> str:
    return f"load-{number}/"


def measure(airflow: RunningAirflow, number: int) -> dict[str, Any]:
    """Run the DAG over the photographs of one number, and return its figures."""
    with _sampled(airflow) as samples:
        began = time.monotonic()
        run_id = airflow.trigger(input_prefix=prefix_of(number))
        state = airflow.wait(run_id, 3600)
        seconds = time.monotonic() - began
    if state != "success":
        raise SystemExit(f"the run of {number} ended as {state}: {airflow.tasks(run_id)}")
    report = airflow.xcom(run_id, "report", "return_value")
    tasks = airflow.api._send("GET", f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances").json()["task_instances"]
    duration = {task["task_id"]: task["duration"] for task in tasks}
    phases = {phase: report["seconds"].get(phase, 0.0) for phase in _PHASES} | {"report": duration["report"]}
    return {
        "photographs": number,
        "chunks": report["chunks_planned"],
        "masks": report["places"]["masked"],
        "run_seconds": round(seconds, 1),
        "phase_seconds": phases,
        "ms_per_image": {phase: 1000 * spent / number for phase, spent in phases.items()},
        "images_per_second": report["images_per_second"],
        "mebibytes": dict(samples.mebibytes),
        "heartbeat_seconds": samples.heartbeat_seconds,
        "pages": time_pages(airflow, run_id),
    }


@contextmanager
def _sampled(airflow: RunningAirflow) -> Iterator[Samples]:
    samples, over = Samples(), threading.Event()

    def sample() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            samples.take(airflow)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def table(rows: list[dict[str, Any]]) -> str:
    """Render the rows as Markdown tables."""
    heads = [f"{row['photographs']:,}" for row in rows]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---:|' * len(rows)}"]

    def add(name: str, values: list[str]) -> None:
        lines.append(f"| {name} | {' | '.join(values)} |")

    add("chunks", [str(row["chunks"]) for row in rows])
    add("masks", [f"{row['masks']:,}" for row in rows])
    add("whole run, s", [f"{row['run_seconds']:.0f}" for row in rows])
    add("whole run, ms for each further image", ["", *(f"{_marginal(few, many):.2f}" for few, many in pairwise(rows))])
    for phase in rows[0]["phase_seconds"]:
        add(
            f"{phase}: s (ms per image)",
            [f"{row['phase_seconds'][phase]:.1f} ({row['ms_per_image'][phase]:.2f})" for row in rows],
        )
    add("images/s, all chunks", [f"{row['images_per_second']:.1f}" for row in rows])
    for kind in sorted({kind for row in rows for kind in row["mebibytes"]}):
        add(f"{kind}, MiB", [f"{row['mebibytes'].get(kind, 0):.0f}" for row in rows])
    add("oldest heartbeat of the scheduler, s", [f"{row['heartbeat_seconds']:.1f}" for row in rows])
    for page in rows[0]["pages"]:
        add(page, [f"{row['pages'][page]:.2f}" for row in rows])
    return "\n".join(lines)


def _marginal(few: dict[str, Any], many: dict[str, Any]) -> float:
    """Milliseconds for each image that one run has more than another, without what every run takes anyway."""
    more = many["photographs"] - few["photographs"]
    return float(1000 * (many["run_seconds"] - few["run_seconds"]) / more)


if __name__ == "__main__":
    main()
