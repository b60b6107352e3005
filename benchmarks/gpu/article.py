"""Runs the simple loop of `benchmarks/article.py` on the storage stand-in."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.emulator import INPUT, OUTPUT
from benchmarks.gpu.context import Context, Workload
from benchmarks.gpu.records import Records, one_line
from benchmarks.gpu.samples import Sample, open_sample
from benchmarks.gpu.serving import Serving, environment, running_storage
from benchmarks.job import Job

_LIMIT = 60.0


def measure(context: Context, records: Records, workload: Workload) -> None:
    """Measure images per second over the later half of the masks, and record them."""
    try:
        sample, count = open_sample(context, workload), context.scale.article_images
        with running_storage(sample.files, workers=1, listed=count) as serving:
            _run(sample, serving, max(1.0, min(_LIMIT, context.seconds_left)))
            times = [moment for moment, _ in serving.masks()]
        half = len(times) // 2
        rate = (len(times) - half) / (times[-1] - times[half - 1])
        records.write("article", workload=workload.name, images=len(times), images_per_second=rate)
    except Exception as error:  # noqa: BLE001  the engine's runs continue
        records.skip(f"{workload.name}: the article's loop", one_line(error))


def _run(sample: Sample, serving: Serving, limit: float) -> None:
    model = sample.model
    with tempfile.TemporaryDirectory() as scratch:
        job = Job(
            input=INPUT,
            output=OUTPUT,
            weights=str(model.weights),
            params=model.params.model_dump(mode="json"),
            network=model.network,
            scratch=scratch,
            cpus=len(os.sched_getaffinity(0)),
        )
        path = job.write(Path(scratch) / "job.json")
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.contender", "article", str(path)]
        done = subprocess.run(
            command, env=environment(serving), capture_output=True, text=True, timeout=limit, check=False
        )
    if done.returncode:
        raise RuntimeError(f"it ended with {done.returncode}: {done.stderr[-200:]}")
