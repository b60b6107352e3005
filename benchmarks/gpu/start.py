"""Measures the time from process start to the first mask: by phase in a plain process, and for the engine."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

from benchmarks import engine
from benchmarks.gpu.context import Context
from benchmarks.gpu.engine import device_options
from benchmarks.gpu.records import one_line
from benchmarks.gpu.samples import Sample, open_sample
from benchmarks.gpu.serving import Serving, environment, running_storage

_LIMIT = 60.0
_MIN_SECONDS = 5.0


def main(context: Context) -> None:
    """Time starts: one without the libraries in the page cache, if they can be evicted, then warm ones."""
    records = context.records("start")
    workload = context.scale.workloads[0]
    sample = open_sample(context, workload)
    with running_storage(sample.files, workers=1) as serving:
        measures: dict[str, Callable[[], dict[str, float]]] = {
            "engine": lambda: _engine(context, serving, sample),
            "phases": lambda: _phases(context, sample),
        }
        for place, (kind, measure) in product(range(context.scale.starts + 1), measures.items()):
            start = "warm" if place else "cold"
            if context.seconds_left < _MIN_SECONDS:
                records.skip(f"{start} start {place}, {kind}", "out of time")
                continue
            evicted = 0 if place else _evict_libraries()
            try:
                records.write(kind, workload=workload.name, start=start, evicted=evicted, **measure())
            except Exception as error:  # noqa: BLE001  the next start runs
                records.skip(f"{start} start {place}, {kind}", one_line(error))


def _engine(context: Context, serving: Serving, sample: Sample) -> dict[str, float]:
    """Run the engine on one image, and return the seconds to its mask and to the end."""
    staged = serving.stage(sample.model, 1)
    command = [*engine.command(staged, []), *device_options(context)]
    began = time.time()
    _run(context, command, environment(serving))
    ended = time.time()
    return {"first_mask": serving.masks()[0][0] - began, "whole": ended - began}


def _phases(context: Context, sample: Sample) -> dict[str, float]:
    """Return the seconds of each phase of a start without storage, in a process without concurrency."""
    reference, weights, photograph = (context.work / f"start.{suffix}" for suffix in ("json", "weights", "jpg"))
    weights.write_bytes(sample.model.staged.read_bytes())
    photograph.write_bytes(sample.files[0])
    reference.write_text(json.dumps(sample.model.reference("gs://benchmark/model").to_json()), "utf-8")
    given = [context.device, str(reference), str(weights), str(photograph)]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.gpu.phases", repr(time.time()), *given]
    phases: dict[str, float] = json.loads(_run(context, command, dict(os.environ)).splitlines()[-1])
    return phases


def _run(context: Context, command: Sequence[str], variables: Mapping[str, str]) -> str:
    """Run a command, and return its output.

    Raises:
        RuntimeError: It failed; the message has the end of its output.
    """
    limit = max(1.0, min(_LIMIT, context.seconds_left))
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise RuntimeError(f"ended with {done.returncode}: {' '.join((done.stdout + done.stderr)[-180:].split())}")
    return done.stdout


def _evict_libraries() -> int:
    """Ask the system to drop PyTorch's and CUDA's libraries from the page cache, and return the number of files."""
    import importlib.util

    spec = importlib.util.find_spec("torch")
    if not spec or not spec.origin:
        return 0
    packages = Path(spec.origin).parent.parent
    folders = [packages / "torch", packages / "nvidia", packages / "triton"]
    count = 0
    for path in (found for folder in folders for found in folder.rglob("*.so*")):
        with contextlib.suppress(OSError), path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            count += 1
    return count
