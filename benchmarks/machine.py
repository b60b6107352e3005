"""Describes the machine, without which figures are meaningless."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Any

import psutil
import torch

from cloudseg_ops.engine.process.options import usable_cpus

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
BUSY = 0.25
"""Load per CPU above which figures are unreliable."""


def describe_machine() -> dict[str, Any]:
    """Return processor, its matrix instruction sets, memory, GPU, and the relevant versions."""
    info = _cpu_info()
    flags = set(info.get("flags", "").split())
    return {
        "processor": info.get("model name", platform.processor() or platform.machine()),
        "cpus": usable_cpus(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "compiler": next((name for name in ("g++", "clang++", "c++") if shutil.which(name)), None),
        "load": round(os.getloadavg()[0], 2),
    }


def _cpu_info() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def machine_lines(machine: dict[str, Any]) -> list[str]:
    """Format the description as lines, with a warning if the machine is busy."""
    lines = [
        f"{machine['processor']}, {machine['cpus']} CPUs ({', '.join(machine['flags']) or 'no matrix instructions'}), "
        f"{machine['memory_gib']} GiB, {machine['gpu'] or 'no GPU'}",
        f"{machine['system']}, Python {machine['python']}, PyTorch {machine['torch']}",
    ]
    if machine["load"] > BUSY * machine["cpus"]:
        lines.append(f"WARNING: the load was {machine['load']} before the start: something else uses this machine")
    return lines
