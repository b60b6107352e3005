"""The interface between the harness and a contender's process: a job as a JSON file, and timestamps.

A contender runs in its own process, `PYTHON -m benchmarks.NAME JOB.json`, so that its memory and CPU time can be
measured. STORAGE_EMULATOR_HOST has the address of the emulator, as google-cloud-storage expects.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from cloudseg_ops.contracts.model_ref import ModelParams


@dataclass(frozen=True, slots=True)
class Job:
    """The work on one set of photographs.

    Attributes:
        input: Bucket of the photographs.
        output: Bucket of the masks.
        weights: The model's weights file: a state dict.
        params: The model's parameters, as in a registry's params.yaml.
        network: Name of the network class; see `benchmarks.models.plain_network`.
        scratch: Folder for the timestamps.
        cpus: CPUs to use.
        uniform: Whether all photographs have one size, so that a framework can stack them to batches.
        generous: Give frameworks the engine's network: batch norm folded, channels last, bfloat16, batches by shape.
    """

    input: str
    output: str
    weights: str
    params: dict[str, Any]
    network: str
    scratch: str
    cpus: int
    uniform: bool = True
    generous: bool = False

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a job written by `write`."""
        return cls(**json.loads(Path(path).read_text("utf-8")))

    def write(self, path: Path) -> Path:
        """Write the job as JSON, and return the path."""
        path.write_text(json.dumps(asdict(self)), "utf-8")
        return path

    @property
    def model_params(self) -> ModelParams:
        """The validated parameters."""
        return ModelParams.parse(self.params, "the benchmark's job")


class Timestamps:
    """Records when a contender started fetching, and when its last result was complete.

    Each thread of each process has its own files, so no locks are needed.
    """

    def __init__(self, scratch: str | Path) -> None:
        self._folder = Path(scratch)

    def record_start(self) -> None:
        """Record the start of a download."""
        self._write("began", overwrite=False)

    def record_end(self) -> None:
        """Record a finished image: mask uploaded, photograph deleted."""
        self._write("ended", overwrite=True)

    def _write(self, kind: str, *, overwrite: bool) -> None:
        path = self._folder / f"{kind}-{os.getpid()}-{threading.get_native_id()}"
        if overwrite or not path.exists():
            path.write_text(repr(time.time()), "ascii")

    def read(self) -> dict[str, list[float]]:
        """Return all recorded times by kind, in seconds since the epoch."""
        return {
            kind: [float(path.read_text("ascii") or "nan") for path in self._folder.glob(f"{kind}-*")]
            for kind in ("began", "ended")
        }


def steady_window(timestamps: dict[str, list[float]]) -> tuple[float, float] | None:
    """Return the times of the first fetch and of the last result, or None if there were none."""
    if not timestamps["began"] or not timestamps["ended"]:
        return None
    return min(timestamps["began"]), max(timestamps["ended"])
