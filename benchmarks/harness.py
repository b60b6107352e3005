"""What all measurements share: the options, the storage, and how a contender's process is described and run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.emulator import INPUT, OUTPUT, Emulator
from benchmarks.job import Job
from benchmarks.limit_job import LimitJob
from benchmarks.measure import Measured, run_measured
from benchmarks.models import Model
from benchmarks.options import Options
from benchmarks.photographs import Photographs
from benchmarks.running import contender_environment, require_success

RUN_LIMIT = 900.0
"""Maximum duration of one measurement, seconds."""
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Harness:
    """Describes and runs the processes of contenders.

    Attributes:
        options: The options of the command line.
        emulator: Cloud Storage.
        cpus: CPUs to use.
        missing: By contender key: why it cannot be measured.
        report: Called with each line of progress.
    """

    options: Options
    emulator: Emulator
    cpus: int
    missing: dict[str, str]
    report: Report

    def limit_job(self, model: Model, photographs: Photographs, scratch: Path, *, seconds: float) -> LimitJob:
        """Describe a measurement of the bare forward pass."""
        return LimitJob(
            weights=str(model.weights.resolve()),
            params=model.params.model_dump(mode="json"),
            network=model.network,
            photographs=str(photographs.folder.resolve()),
            answer=str(scratch / "answer.json"),
            cpus=self.cpus,
            seconds=seconds,
            compilers=self.options.compilers,
            processes=self.options.lanes == "both",
        )

    def job(self, model: Model, photographs: Photographs, scratch: Path) -> Job:
        """Describe the work of c, d and e."""
        return Job(
            input=INPUT,
            output=OUTPUT,
            weights=str(model.weights.resolve()),
            params=model.params.model_dump(mode="json"),
            network=model.network,
            scratch=str(scratch),
            cpus=self.cpus,
            uniform=photographs.uniform,
            generous=self.options.generous,
        )

    def run_module(
        self, name: str, arguments: Sequence[object], scratch: Path, *, limit: float, python: Path | None = None
    ) -> Measured:
        """Run a contender's module in its own process.

        Raises:
            ContenderError: It failed.
        """
        command = [str(python or sys.executable), "-m", "benchmarks.contender", name, *map(str, arguments)]
        return require_success(
            run_measured(command, log=scratch / "log", environment=contender_environment(), limit=limit)
        )
