"""Describes the machine, and measures the ceilings of its components in isolation."""

from __future__ import annotations

import ctypes
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

_BEGAN = time.perf_counter()

import torch  # noqa: E402  timed: this is the first import on a fresh machine

_IMPORT_SECONDS = time.perf_counter() - _BEGAN

from benchmarks.gpu.context import Context  # noqa: E402
from benchmarks.gpu.records import one_line  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from cloudseg_ops.engine.memory.process_memory import tune_malloc  # noqa: E402

_REPEATS = 10


def main(context: Context) -> None:
    """Describe the machine and measure its ceilings."""
    tune_malloc()
    records = context.records("machine")
    records.write("import", torch_seconds=_IMPORT_SECONDS)
    records.write("machine", **describe_machine(), versions=_versions())
    if context.device == "cuda":
        records.write("gpu", **_gpu())
    else:
        records.skip("properties of the GPU", "needs CUDA")
    for measure in (_copy, _matmul):
        try:
            records.write(measure.__name__.strip("_"), **measure(context))
        except Exception as error:  # noqa: BLE001  the other ceilings are measured
            records.skip(measure.__name__.strip("_"), one_line(error))


def _versions() -> dict[str, Any]:
    available = torch.backends.cudnn.is_available()  # type: ignore[no-untyped-call]
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if available else None,  # type: ignore[no-untyped-call]
    }


def _gpu() -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(0)
    free, total = torch.cuda.mem_get_info()
    return {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_bytes": total,
        "free_bytes": free,
        "driver": _driver(),
    }


def _driver() -> str | None:
    """Return the driver's version, from NVML, which comes with the driver."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    text = ctypes.create_string_buffer(96)
    nvml.nvmlInit_v2()
    nvml.nvmlSystemGetDriverVersion(text, len(text))
    return text.value.decode() or None


def _copy(context: Context) -> dict[str, Any]:
    size = context.scale.copy_bytes
    source = torch.ones(size, dtype=torch.uint8, device=context.device)
    target = torch.empty_like(source)
    seconds = _median_seconds(lambda: target.copy_(source), context.device)
    return {"bytes": size, "seconds": seconds, "bytes_per_second": 2 * size / seconds}


def _matmul(context: Context) -> dict[str, Any]:
    side = context.scale.matmul_side
    left, right = (torch.randn(side, side, device=context.device, dtype=torch.bfloat16) for _ in range(2))
    seconds = _median_seconds(lambda: left @ right, context.device)
    return {"side": side, "seconds": seconds, "tflops": 2 * side**3 / seconds / 1e12}


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _median_seconds(work: Callable[[], object], device: str) -> float:
    """Return the median time of a function, measured with CUDA events on a GPU."""
    found: list[float] = []
    for _ in range(_REPEATS + 3):
        if device == "cuda":
            begin, end = (_event() for _ in range(2))
            begin.record()
            work()
            end.record()
            end.synchronize()
            found.append(begin.elapsed_time(end) / 1000)
        else:
            start = time.perf_counter()
            work()
            found.append(time.perf_counter() - start)
    return statistics.median(found[3:])
