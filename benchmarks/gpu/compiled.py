"""Measures compiled settings of the bare forward pass, each in a process with a time limit."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from typing import get_args

from benchmarks.gpu.context import Context, Workload, add_arguments, context_from
from benchmarks.gpu.figures import best_setting
from benchmarks.gpu.forward import Runner, Setting
from benchmarks.gpu.records import Records, read_records

_LIMIT = 80.0
_MIN_SECONDS = 10.0
"""Remaining seconds below which no further setting is started."""
_MARGIN_SECONDS = 2.0
"""Seconds reserved to record that a setting exceeded its time."""


def main(context: Context) -> None:
    """Try compilers at each workload's best batch, the most valuable first."""
    records = context.records("bare")
    for workload, runner in _schedule(context):
        left = context.seconds_left
        if left < _MIN_SECONDS:
            records.skip(f"{workload.name}: {runner}", "out of time")
            continue
        _run(context, records, workload.name, runner, min(_LIMIT, left - _MARGIN_SECONDS))


def _schedule(context: Context) -> list[tuple[Workload, Runner]]:
    first, *others = context.scale.workloads
    schedule: list[tuple[Workload, Runner]] = [(first, "compile"), (first, "aoti")]
    if not context.rehearse:
        schedule += [(one, "compile") for one in others]
        schedule += [(first, "max-autotune")]
        schedule += [(one, runner) for one in others for runner in ("aoti", "max-autotune")]
    return schedule


def _run(context: Context, records: Records, workload: str, runner: Runner, limit: float) -> None:
    batch = best_batch(context, workload)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.gpu.compiled", workload, runner, str(batch)]
    caches = {
        "TORCHINDUCTOR_CACHE_DIR": str(context.work / "inductor"),
        "TRITON_CACHE_DIR": str(context.work / "triton"),
    }
    try:
        done = subprocess.run(
            [*command, *context.arguments()], env={**os.environ, **caches}, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        records.skip(f"{workload}: {runner}, batch {batch}", f"cut after {limit:.0f} s")
    else:
        if done.returncode:
            records.skip(f"{workload}: {runner}, batch {batch}", f"its process ended with {done.returncode}")


def best_batch(context: Context, workload: str) -> int:
    """Return the batch size of the fastest setting measured so far; 16 if there is none."""
    fastest = best_setting(read_records(context.out / "bare.jsonl"), workload)
    return int(fastest["setting"]["batch"]) if fastest else 16


def _measure() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("workload")
    parser.add_argument("runner", choices=get_args(Runner))
    parser.add_argument("batch", type=int)
    add_arguments(parser)
    options = parser.parse_args()
    context = context_from(options)
    from benchmarks.gpu.bare import Bench

    bench = Bench(context, context.workload(options.workload), context.records("bare"), time.monotonic() + _LIMIT)
    bench.measure(Setting(runner=options.runner, batch=options.batch))


if __name__ == "__main__":
    _measure()
