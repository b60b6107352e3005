"""Measures the bare forward pass on tensors on the GPU: its theoretical floor, then its best setting."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.gpu.context import Context, Workload
from benchmarks.gpu.figures import AGREEMENT
from benchmarks.gpu.floors import Work, count_work, peak_of
from benchmarks.gpu.forward import Forward, Setting, build, rate
from benchmarks.gpu.records import Records, one_line
from benchmarks.gpu.samples import Sample, open_sample, repeat_to_batch
from benchmarks.models import plain_network

_GAIN = 1.02
"""Minimum speed-up for which a batch twice as large counts as faster."""
_CONTEXT_BATCH = 16


class Bench:
    """Measures settings of one workload.

    Args:
        context: The part's context.
        workload: The workload.
        records: The results file.
        until: Monotonic time after which no further setting is started.
    """

    def __init__(self, context: Context, workload: Workload, records: Records, until: float) -> None:
        self._context = context
        self._workload = workload
        self._records = records
        self._until = until
        self._sample = open_sample(context, workload)
        self._work: Work = count_work(_plain(self._sample), workload.side)
        self._peak = peak_of(device_name(context))

    def floor(self) -> None:
        """Record the cost of the workload, and the best rates that it could reach."""
        work = self._work
        self._records.write(
            "floor",
            workload=self._workload.name,
            peak=self._peak.name,
            **asdict(work),
            images_per_second=1 / work.seconds(self._peak, 64),
            images_per_second_by_layer=1 / work.seconds(self._peak, 64, layers=True),
        )

    def measure(self, setting: Setting) -> float:
        """Return images per second; 0 if the setting fails, disagrees, or is skipped, which is recorded."""
        if time.monotonic() > self._until:
            self._records.skip(f"{self._workload.name}: {setting.describe()}", "out of time")
            return 0.0
        if setting.needs_cuda and self._context.device == "cpu":
            self._records.skip(f"{self._workload.name}: {setting.describe()}", "needs CUDA")
            return 0.0
        fields: dict[str, Any] = {
            "workload": self._workload.name,
            "setting": setting.to_json(),
            "description": setting.describe(),
        }
        began = time.monotonic()
        try:
            fields |= self._figures(setting)
        except Exception as error:  # noqa: BLE001  a setting that fails here is a result, too
            fields |= {"images_per_second": 0.0, "error": one_line(error)}
        _clear()
        self._records.write("setting", **fields, seconds=round(time.monotonic() - began, 2))
        return float(fields["images_per_second"]) if fields.get("agreement", 0) >= AGREEMENT else 0.0

    def _figures(self, setting: Setting) -> dict[str, Any]:
        on_gpu = self._context.device == "cuda"
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        example = repeat_to_batch(self._sample.images, setting.batch).to(self._context.device)
        began = time.monotonic()
        first = build(self._network(setting), setting, example, self._context.work)
        agreement = self._agreement(*first)
        preparing = time.monotonic() - began
        built = [first]

        def make() -> tuple[Forward, torch.Tensor]:
            return built.pop() if built else build(self._network(setting), setting, example, self._context.work)

        images_per_second = rate(make, setting.lanes, self._context.scale.seconds)
        return {
            "images_per_second": images_per_second,
            "tflops": images_per_second * self._work.flops / 1e12,
            "of_floor": images_per_second * self._work.seconds(self._peak, setting.batch),
            "agreement": agreement,
            "preparing_seconds": round(preparing, 2),
            "peak_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
        }

    def _network(self, setting: Setting) -> nn.Module:
        if not setting.exported:
            return _plain(self._sample)
        from cloudseg_ops.engine.network.loading import load_network

        model = self._sample.model
        return load_network(
            model.reference("gs://benchmark/model"), model.staged.read_bytes(), torch.device(self._context.device)
        ).forward

    def _agreement(self, forward: Forward, batch: torch.Tensor) -> float:
        """Return the share of pixels on which masks agree; all batches have the size that was compiled."""
        masks, size = self._sample.masks, len(batch)
        same = []
        for start in range(0, len(masks), size):
            places = torch.arange(start, start + size) % len(masks)
            images = self._sample.images[places].to(batch.device, batch.dtype)
            logits = forward(images.contiguous(memory_format=torch.channels_last))
            found = (logits[:, 0].float() > 0).cpu().numpy()
            same += [float(np.mean(found[at] == masks[place])) for at, place in enumerate(places.tolist())]
        return sum(same) / len(same)


def _plain(sample: Sample) -> nn.Module:
    model = sample.model
    return plain_network(model.network, model.params.arguments, str(model.weights))


def _clear() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def device_name(context: Context) -> str:
    """Return the GPU's name; in a rehearsal, that of the GPU whose peaks are used for the floors."""
    return "CPU" if context.rehearse else torch.cuda.get_device_name()


def search(bench: Bench, context: Context, *, exported: bool) -> None:
    """Measure floors, then settings: batch sizes first, because the others use the best one."""
    bench.floor()
    best, best_rate = _best_batch(bench, context.scale.max_images)
    for setting in _variants(best, exported=exported):
        if (rate_of_setting := bench.measure(setting)) > best_rate:
            best, best_rate = setting, rate_of_setting
    context_batch = min(_CONTEXT_BATCH, best.batch)
    for precision in ("tf32", "fp32"):
        bench.measure(Setting(precision=precision, batch=context_batch))


def _best_batch(bench: Bench, max_images: int) -> tuple[Setting, float]:
    """Double the batch size until two doublings have brought no gain, or memory is exhausted."""
    best, best_rate, declines, batch = Setting(), 0.0, 0, 1
    while batch <= max_images and declines < 2:
        setting = Setting(batch=batch)
        measured = bench.measure(setting)
        declines = 0 if measured > best_rate * _GAIN else declines + 1
        if measured > best_rate:
            best, best_rate = setting, measured
        batch *= 2
    return best, best_rate


def _variants(best: Setting, *, exported: bool) -> Iterator[Setting]:
    yield replace(best, runner="fused")
    yield replace(best, runner="graph")
    if best.batch > 8:
        yield replace(best, runner="graph", batch=8)
    yield replace(best, lanes=2)
    yield replace(best, runner="graph", lanes=2)
    yield replace(best, search=False)
    yield replace(best, precision="autocast", search=False)
    if exported:
        yield replace(best, precision="autocast", search=False, exported=True)


def main(context: Context) -> None:
    """Measure each workload; later workloads get the time that earlier ones do not use."""
    records = context.records("bare")
    workloads = context.scale.workloads
    for index, workload in enumerate(workloads):
        # The first workloads matter most, so each gets 1.5 times an equal share of the remaining time.
        until = time.monotonic() + context.seconds_left * 1.5 / (len(workloads) - index + 0.5)
        try:
            search(Bench(context, workload, records, until), context, exported="resnet" in workload.model)
        except Exception as error:  # noqa: BLE001  such as a model that cannot be created here; the others continue
            records.skip(f"{workload.name}: the bare forward pass", one_line(error))
