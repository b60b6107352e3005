"""Samples the resource usage of a process tree and of the GPU while the engine runs."""

from __future__ import annotations

import contextlib
import ctypes
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

_SECONDS = 0.25


class Nvml:
    """Utilization and memory of the first GPU, by NVML, which comes with the driver.

    Raises:
        OSError: NVML is missing or fails.
    """

    class _Pair(ctypes.Structure):
        _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))

    class _Memory(ctypes.Structure):
        _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libnvidia-ml.so.1")
        self._device = ctypes.c_void_p()
        self._call("nvmlInit_v2")
        self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(0), ctypes.byref(self._device))

    def used_bytes(self) -> int:
        """Return the memory in use by all processes."""
        memory = self._Memory()
        self._call("nvmlDeviceGetMemoryInfo", self._device, ctypes.byref(memory))
        return int(memory.used)

    def busy(self) -> int:
        """Return the percentage of time in which a kernel ran, over NVML's last sample period."""
        pair = self._Pair()
        self._call("nvmlDeviceGetUtilizationRates", self._device, ctypes.byref(pair))
        return int(pair.gpu)

    def _call(self, name: str, *arguments: Any) -> None:
        if status := getattr(self._library, name)(*arguments):
            raise OSError(f"{name} gave status {status}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample.

    Attributes:
        at: Seconds since the epoch.
        cpu_seconds: CPU seconds of the process tree so far.
        processes: Number of processes in the tree.
        gpu_percent: GPU utilization; None: unknown.
        gpu_bytes: GPU memory in use; None: unknown.
    """

    at: float
    cpu_seconds: float
    processes: int
    gpu_percent: int | None
    gpu_bytes: int | None


@contextlib.contextmanager
def sampling(pid: int) -> Iterator[list[Sample]]:
    """Sample a process and its children until the block ends."""
    samples: list[Sample] = []
    stop = threading.Event()
    nvml: Nvml | None = None
    with contextlib.suppress(OSError, AttributeError):
        nvml = Nvml()

    def work() -> None:
        while not stop.wait(_SECONDS):
            with contextlib.suppress(psutil.Error):
                samples.append(_take_sample(psutil.Process(pid), nvml))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _take_sample(process: psutil.Process, nvml: Nvml | None) -> Sample:
    tree = [process, *process.children(recursive=True)]
    cpu = 0.0
    for one in tree:
        with contextlib.suppress(psutil.Error):
            cpu += sum(one.cpu_times()[:2])
    return Sample(time.time(), cpu, len(tree), _query(nvml, "busy"), _query(nvml, "used_bytes"))


def _query(nvml: Nvml | None, what: str) -> int | None:
    try:
        return int(getattr(nvml, what)()) if nvml else None
    except OSError:
        return None


def summarize_window(samples: Sequence[Sample], begin: float, end: float) -> dict[str, Any]:
    """Return the usage of a process tree and of the GPU between two times.

    Args:
        samples: Samples, sorted by time.
        begin: Begin, seconds since the epoch.
        end: End, seconds since the epoch.

    Returns:
        Mean CPUs used, maximum number of processes, median GPU utilization and maximum GPU memory (None: unknown).
    """
    in_window = [one for one in samples if begin <= one.at <= end]
    busy = [one.gpu_percent for one in in_window if one.gpu_percent is not None]
    used = [one.gpu_bytes for one in samples if one.gpu_bytes is not None]
    spanned = in_window[-1].at - in_window[0].at if in_window else 0.0
    return {
        "cpus": (in_window[-1].cpu_seconds - in_window[0].cpu_seconds) / spanned if spanned > 0 else None,
        "processes": max((one.processes for one in samples), default=None),
        "gpu_percent": statistics.median(busy) if busy else None,
        "gpu_peak_bytes": max(used, default=None),
    }
