"""Measures decoding of photographs: Pillow on one core and on all, and nvJPEG on the GPU."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.gpu.context import Context, Workload
from benchmarks.gpu.records import Records, one_line
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.engine.images.decode import decode
from cloudseg_ops.engine.images.masks import encode_mask

_BATCH = 64
_TIMEOUT_SECONDS = 60.0


def measure(context: Context, records: Records) -> None:
    """Record the rates for each distinct kind of photograph."""
    seen: set[int] = set()
    for workload in context.scale.workloads:
        if workload.side in seen:
            continue
        seen.add(workload.side)
        try:
            _measure(context, records, workload)
        except Exception as error:  # noqa: BLE001  the engine is measured all the same
            records.skip(f"{workload.side} px: decoding", one_line(error))


def _measure(context: Context, records: Records, workload: Workload) -> None:
    # Imported here, because the decoding processes do not need torch.
    from benchmarks.gpu.samples import open_sample

    cores = len(os.sched_getaffinity(0))
    sample = open_sample(context, workload)
    fields: dict[str, Any] = {"workload": workload.name, "side": workload.side, "cores": cores}
    per_core, encoded = core_rates(sample.files, sample.model.params, context.scale.seconds)
    all_cores = all_cores_rate(sample.files, sample.model.params, context.scale.seconds, cores)
    records.write("decode", **fields, per_core=per_core, all_cores=all_cores, masks_encoded_per_core=encoded)
    _nvjpeg(context, records, workload, sample.files)


def core_rates(files: Sequence[bytes], params: ModelParams, seconds: float) -> tuple[float, float]:
    """Return images per second decoded, and masks per second encoded, by one core with the engine's functions."""
    images = [decode(data, params.in_channels, 1 << 29, max_side=params.max_side) for data in files]
    masks = [(image.pixels[..., 0] > 127).astype("uint8") for image in images]
    decoded = _rate(lambda: [decode(data, params.in_channels, 1 << 29) for data in files], len(files), seconds)
    return decoded, _rate(lambda: [encode_mask(mask, 1) for mask in masks], len(masks), seconds)


def _rate(work: Any, items: int, seconds: float) -> float:
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds or not done:
        work()
        done += items
    return done / (time.perf_counter() - began)


def all_cores_rate(files: Sequence[bytes], params: ModelParams, seconds: float, cores: int) -> float:
    """Return images per second decoded by all cores, with one process each."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(cores, initializer=_prepare, initargs=(files,)) as pool:
        results = [pool.apply_async(_decode_for, (params.in_channels, seconds)) for _ in range(4 * cores)]
        spans = [result.get(_TIMEOUT_SECONDS) for result in results]
    begin, end = min(begin for begin, _, _ in spans), max(end for _, end, _ in spans)
    return sum(done for _, _, done in spans) / (end - begin)


_files: Sequence[bytes] = ()


def _prepare(files: Sequence[bytes]) -> None:
    global _files  # noqa: PLW0603  processes of a pool share it only through a global
    _files = files


def _decode_for(channels: Any, seconds: float) -> tuple[float, float, int]:
    begin, done = time.time(), 0
    while time.time() - begin < seconds:
        for data in _files:
            decode(data, channels, 1 << 29)
        done += len(_files)
    return begin, time.time(), done


def _nvjpeg(context: Context, records: Records, workload: Workload, files: Sequence[bytes]) -> None:
    what = f"{workload.side} px: nvJPEG"
    if context.device != "cuda":
        records.skip(what, "needs CUDA")
        return
    try:
        import torch

        decode_jpeg = importlib.import_module("torchvision.io").decode_jpeg
        batch = [torch.frombuffer(bytearray(files[at % len(files)]), dtype=torch.uint8) for at in range(_BATCH)]

        def work() -> None:
            decode_jpeg(batch, device="cuda")
            torch.cuda.synchronize()

        work()
        found = _rate(work, _BATCH, context.scale.seconds)
        records.write("nvjpeg", workload=workload.name, side=workload.side, images_per_second=found, batch=_BATCH)
    except Exception as error:  # noqa: BLE001  torchvision may be missing, or built without nvJPEG
        records.skip(what, one_line(error))
