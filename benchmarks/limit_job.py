"""The job of a bare forward pass measurement, passed to its process as a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

_ENOUGH_PASSES = 10


@dataclass(frozen=True, slots=True)
class LimitJob:
    """What to measure.

    Attributes:
        weights: The state dict.
        params: The model's parameters.
        network: Its class; see `benchmarks.models.new_network`.
        photographs: Folder of the photographs whose sizes and pixels are used.
        answer: Path of the JSON file for the result.
        cpus: CPUs to use.
        seconds: Approximate time of one measurement.
        compilers: Whether to try compilers.
        processes: Whether to try processes as lanes.
        setting: The setting to measure; None: search for the best one.
        passes: Minimum number of passes of each lane.
        candidates: The only settings to try, fast with this model at another size; empty: try all.
    """

    weights: str
    params: dict[str, Any]
    network: str
    photographs: str
    answer: str
    cpus: int
    seconds: float
    compilers: bool = True
    processes: bool = True
    setting: dict[str, Any] | None = None
    passes: int = 1
    candidates: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, path: str) -> Self:
        """Read a job written by `write`."""
        return cls(**json.loads(Path(path).read_text("utf-8")))

    def write(self, path: Path) -> Path:
        """Write the job as JSON, and return the path."""
        path.write_text(json.dumps(asdict(self)), "utf-8")
        return path

    def with_setting(self, setting: dict[str, Any]) -> Self:
        """Return a copy of the job that measures a setting, on enough passes for a figure to publish."""
        return replace(self, setting=setting, passes=_ENOUGH_PASSES)
