"""Profiles the engine's steady batches: kernels by kind, copies, and idle time."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.compiled import best_batch
from benchmarks.gpu.context import Context, Workload
from benchmarks.gpu.records import Records, one_line
from benchmarks.gpu.samples import open_sample
from cloudseg_ops.engine.images.decode import decode
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.predict import Predictor

_KINDS = (
    ("copy", re.compile(r"memcpy|memset|aten::copy_|aten::_to_copy|aten::to\b", re.IGNORECASE)),
    ("layout", re.compile(r"nchwtonhwc|nhwctonchw|transpose_readwrite|tensortransform", re.IGNORECASE)),
    ("conv", re.compile(r"conv|cudnn|xmma|cutlass|implicit|gemm|fprop|dgrad|sm\d\d_|nvjet|mkldnn", re.IGNORECASE)),
    ("elementwise", re.compile(r"elementwise|relu|clamp|add|div|sub|gt|cat|pool|upsample|reduce|norm", re.IGNORECASE)),
)
_TOP = 12
Span = tuple[float, float]


def main(context: Context) -> None:
    """Profile the two models that matter most."""
    records = context.records("profile")
    for workload in context.scale.workloads[:2]:
        if context.seconds_left < 5:
            records.skip(f"{workload.name}: profile", "out of time")
            continue
        try:
            _profile(context, records, workload)
        except Exception as error:  # noqa: BLE001  the other model is profiled
            records.skip(f"{workload.name}: profile", one_line(error))


def _profile(context: Context, records: Records, workload: Workload) -> None:
    sample = open_sample(context, workload)
    model, count = sample.model, context.scale.profiled_batches
    reference = model.reference("gs://benchmark/model")
    network = load_network(reference, model.staged.read_bytes(), torch.device(context.device)).in_bf16()
    predictor = Predictor(reference, network)
    batch = best_batch(context, workload.name)
    params = reference.params
    decoded = [decode(data, params.in_channels, 1 << 29, max_side=params.max_side) for data in sample.files]
    images = [decoded[at % len(decoded)] for at in range(batch)]
    for _ in range(3):
        predictor.predict(images)
    start = time.perf_counter()
    for _ in range(count):
        predictor.predict(images)
    plain = (time.perf_counter() - start) / count
    on_gpu = context.device == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiled:
        start = time.perf_counter()
        for _ in range(count):
            predictor.predict(images)
        seconds = time.perf_counter() - start
    # The GPU's kernels; on a CPU, the outermost operators.
    kind = "CUDA" if on_gpu else "CPU"
    events = [one for one in profiled.events() if one.device_type.name == kind and (on_gpu or one.cpu_parent is None)]
    spans = [(one.name, (float(one.time_range.start), float(one.time_range.end))) for one in events]
    records.write(
        "profile",
        workload=workload.name,
        batch=batch,
        batches=count,
        milliseconds_per_batch=1000 * plain,
        profiled_milliseconds_per_batch=1000 * seconds / count,
        **summarize(spans, seconds * 1e6, count),
    )


def summarize(spans: Sequence[tuple[str, Span]], wall: float, batches: int) -> dict[str, Any]:
    """Split the time of some batches by kind of kernel.

    Args:
        spans: Names of kernels, with begin and end in microseconds.
        wall: Wall-clock time of all batches, microseconds.
        batches: Number of batches.

    Returns:
        Milliseconds per batch by kind of kernel, idle milliseconds, shares of the time, and the slowest kernels.
    """
    by_kind: dict[str, float] = defaultdict(float)
    by_name: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for name, (begin, end) in spans:
        by_kind[kind_of(name)] += end - begin
        by_name[name] += end - begin
        calls[name] += 1
    idle = max(0.0, wall - covered(span for _, span in spans))
    milliseconds = {kind: taken / batches / 1000 for kind, taken in {**by_kind, "idle": idle}.items()}
    top = sorted(by_name, key=lambda name: -by_name[name])[:_TOP]
    return {
        "milliseconds": milliseconds,
        "shares": {kind: taken / wall for kind, taken in {**by_kind, "idle": idle}.items()},
        "top": [
            {"name": name[:120], "milliseconds": by_name[name] / batches / 1000, "calls": calls[name] / batches}
            for name in top
        ],
    }


def kind_of(name: str) -> str:
    """Return the kind of a kernel by its name."""
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), "other")


def covered(spans: Iterable[Span]) -> float:
    """Return the length of the union of the spans, which may overlap."""
    total, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total
