"""Measures the engine as users run it, on the storage stand-in: its steady rate."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import engine
from benchmarks.gpu import article, decoding
from benchmarks.gpu.context import Context, Workload
from benchmarks.gpu.figures import best_engine
from benchmarks.gpu.records import Records, one_line, read_records
from benchmarks.gpu.samples import Sample, open_sample
from benchmarks.gpu.serving import Serving, environment, running_storage
from benchmarks.gpu.usage import Sample as UsageSample
from benchmarks.gpu.usage import sampling, summarize_window
from benchmarks.reference import read_mask
from cloudseg_ops.engine.process import options as engine_options

_START_SECONDS = 45.0
_END_SECONDS = 15.0
_OVERHEAD_SECONDS = 14.0
"""Approximate seconds of a run outside of its steady state."""
_MIN_IMAGES, _MAX_IMAGES = 64, 100_000
_MAX_WORKERS = 4
_KEPT = 8


def main(context: Context) -> None:
    """Measure decoding, then the engine on each workload with several numbers of helpers, then the article's loop."""
    records = context.records("engine")
    decoding.measure(context, records)
    first, *others = context.scale.workloads
    max_helpers, *fewer = (str(count) for count in context.scale.io_processes)
    for helpers in (max_helpers, "auto", *fewer[:1]):
        _try_run(context, records, first, helpers)
    article.measure(context, records, first)
    fastest = best_engine(read_records(context.out / "engine.jsonl"), first.name)
    for workload in others:
        _try_run(context, records, workload, fastest["io_processes"] if fastest else max_helpers)
    for helpers in fewer[1:]:
        _try_run(context, records, first, helpers)
    for workload in others if not context.rehearse else ():
        _try_run(context, records, workload, "auto")


def _try_run(context: Context, records: Records, workload: Workload, helpers: str) -> None:
    what = f"{workload.name}: the engine, --io-processes {helpers}"
    if context.seconds_left < context.scale.engine_seconds + _OVERHEAD_SECONDS:
        records.skip(what, "out of time")
        return
    try:
        run(context, records, workload, helpers)
    except Exception as error:  # noqa: BLE001  the other runs continue
        records.skip(what, one_line(error))


def workers_for(cpus: int) -> int:
    """Return the number of the stand-in's processes: at most a quarter of the CPUs."""
    return max(1, min(_MAX_WORKERS, cpus // 4))


def run(context: Context, records: Records, workload: Workload, helpers: str) -> None:
    """Measure one run of the engine, and record it."""
    sample = open_sample(context, workload)
    images = _images(context, workload)
    workers = workers_for(engine_options.usable_cpus())
    with running_storage(sample.files, workers=workers, kept=_KEPT) as serving:
        staged = serving.stage(sample.model, images)
        given = ["--io-processes", helpers, *device_options(context)]
        before = serving.cpu_seconds()
        usage, log, code, stopped = _run_engine(context, serving, engine.command(staged, given))
        masks = serving.masks()
        served = serving.cpu_seconds() - before
        counts = {"images": images, "masks": len(masks), "exit_code": code, "storage_workers": workers}
        agreed = agreement(serving, sample)
    times = [moment for moment, _ in masks if moment <= stopped]
    if len(times) < 4:
        raise RuntimeError(f"the engine ended with {code} after {len(masks)} masks: {' '.join(log[-300:].split())}")
    records.write(
        "engine",
        workload=workload.name,
        io_processes=helpers,
        **counts,
        **steady(times, usage),
        storage_cpu_seconds=served / len(masks),
        agreement=agreed,
        log=engine.log_events(log),
        loaded=[line for line in log.splitlines() if " in bfloat16" in line or " in float32" in line][-1:],
    )


def device_options(context: Context) -> list[str]:
    """Return the engine's option for the device, if it has one."""
    known = {option for action in engine_options._parser()._actions for option in action.option_strings}
    return ["--device", context.device] if "--device" in known else []


def _images(context: Context, workload: Workload) -> int:
    """Return 1.5 times the images that the bare forward pass could do, so that the time limit ends the run."""
    known = [
        float(one["images_per_second"])
        for one in read_records(context.out / "bare.jsonl")
        if one["kind"] == "setting" and one["workload"] == workload.name
    ]
    wanted = 1.5 * max(known, default=1000.0) * context.scale.engine_seconds
    return int(max(_MIN_IMAGES, min(_MAX_IMAGES, wanted)))


def _run_engine(
    context: Context, serving: Serving, command: Sequence[str]
) -> tuple[list[UsageSample], str, int, float]:
    """Run the engine until it ends, or stop it `engine_seconds` after its first mask.

    Returns:
        Samples, output, exit code, and the time of the end or stop, seconds since the epoch.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command, env=environment(serving), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            with sampling(process.pid) as usage:
                _wait(process, serving, context.scale.engine_seconds)
                stopped = time.time()
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_END_SECONDS)
        finally:
            process.kill()
            code = process.wait(_END_SECONDS)
        log.seek(0)
        return usage, log.read(), code, stopped


def _wait(process: subprocess.Popen[Any], serving: Serving, seconds: float) -> None:
    deadline = time.monotonic() + _START_SECONDS
    started = False
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
        if not started and serving.any_mask():
            started, deadline = True, time.monotonic() + seconds


def steady(times: Sequence[float], usage: Sequence[UsageSample]) -> dict[str, Any]:
    """Return rates over the later half of the masks and by second, and the machine's usage in that time.

    Args:
        times: Upload times of the masks, sorted.
        usage: Samples taken meanwhile.
    """
    half = len(times) // 2
    begin, end = times[half - 1], times[-1]
    rate = (len(times) - half) / (end - begin) if end > begin else 0.0
    seconds = np.bincount([int(moment - times[0]) for moment in times]).tolist()
    window = summarize_window(usage, begin, end)
    return {
        "images_per_second": rate,
        "by_second": seconds,
        **window,
        "cpu_seconds_per_image": window["cpus"] / rate if window["cpus"] and rate else None,
    }


def agreement(serving: Serving, sample: Sample) -> float | None:
    """Return the minimum share of pixels on which a kept mask agrees with the reference; None if none was kept."""
    kept = serving.kept()
    shares = [
        float(np.mean((read_mask(data) > 0) == sample.masks[number]))
        for number, data in kept.items()
        if number < len(sample.masks)
    ]
    return min(shares, default=None)
