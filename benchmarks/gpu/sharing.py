"""Measures several engines on one GPU, as when pods share a GPU by time-slicing."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack

from benchmarks import engine
from benchmarks.gpu.context import Context
from benchmarks.gpu.engine import device_options, workers_for
from benchmarks.gpu.records import Records, one_line
from benchmarks.gpu.samples import open_sample
from benchmarks.gpu.serving import Serving, environment, running_storage
from benchmarks.gpu.usage import sampling, summarize_window
from cloudseg_ops.engine.process import options as engine_options

_IMAGES = 100_000
_START_SECONDS = 25.0
_END_SECONDS = 15.0


def main(context: Context) -> None:
    """Measure the first workload with two and with four engines, which share the CPUs that one would have."""
    records = context.records("engine")
    cpus = engine_options.usable_cpus()
    for engines in (2, 4) if not context.rehearse else (2,):
        if context.seconds_left < _START_SECONDS + context.scale.engine_seconds:
            records.skip(f"{engines} engines on one GPU", "out of time")
            continue
        try:
            _measure(context, records, engines, max(0, cpus // engines - 1))
        except Exception as error:  # noqa: BLE001  the next one runs
            records.skip(f"{engines} engines on one GPU", one_line(error))


def _measure(context: Context, records: Records, engines: int, helpers: int) -> None:
    workload = context.scale.workloads[0]
    sample = open_sample(context, workload)
    given = ["--io-processes", str(helpers), *device_options(context)]
    with ExitStack() as stack:
        serving = stack.enter_context(
            running_storage(sample.files, workers=workers_for(engine_options.usable_cpus()), kept=0)
        )
        command = engine.command(serving.stage(sample.model, _IMAGES), given)
        # All process the same chunk, because the stand-in ignores preconditions.
        processes = [_start(stack, command, serving) for _ in range(engines)]
        usage = stack.enter_context(sampling(os.getpid()))
        _await_first_mask(serving, processes)
        time.sleep(context.scale.engine_seconds)
        times = [moment for moment, _ in serving.masks()]
    end = times[-1]
    recent = [moment for moment in times if moment > end - context.scale.engine_seconds / 2]
    records.write(
        "sharing",
        workload=workload.name,
        engines=engines,
        io_processes=helpers,
        images_per_second=len(recent) / (context.scale.engine_seconds / 2),
        **summarize_window(usage, recent[0], end),
    )


def _start(stack: ExitStack, command: list[str], serving: Serving) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command,
        env=environment(serving),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(process.wait, _END_SECONDS)
    stack.callback(process.kill)
    return process


def _await_first_mask(serving: Serving, processes: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not serving.any_mask():
        if any(process.poll() is not None for process in processes) or time.monotonic() > deadline:
            raise RuntimeError("an engine ended, or none wrote a mask in time")
        time.sleep(0.1)
