"""Measures one row: prepares photographs, finds the limit, then runs each contender in turn, repeatedly."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import planning
from benchmarks.emulator import INPUT, OUTPUT, Emulator
from benchmarks.job import Job
from benchmarks.limit_job import LimitJob
from benchmarks.measure import Measured, run_measured
from benchmarks.models import Model, open_model
from benchmarks.options import Options
from benchmarks.photographs import Photographs, open_photographs
from benchmarks.reference import read_masks
from benchmarks.round import RUN_LIMIT, Round
from benchmarks.rows import Row
from benchmarks.running import contender_environment, require_success, scratch_folder
from benchmarks.table import Outcome

_SEARCH_LIMIT = 1800.0
Report = Callable[[str], None]


@dataclass
class Contest:
    """Measures contenders on one row.

    Attributes:
        options: The options of the command line.
        emulator: Cloud Storage.
        cpus: CPUs to use.
        missing: By contender key: why it cannot be measured.
        limits: Results of finished searches, by model and sizes; rows with the same ones share them.
        candidates: The fastest settings of a model's first search.
        report: Called with each line of progress.
    """

    options: Options
    emulator: Emulator
    cpus: int
    missing: dict[str, str]
    report: Report
    limits: dict[str, dict[str, Any]] = field(default_factory=dict)
    candidates: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def run(self, row: Row) -> tuple[list[Outcome], dict[str, Any]]:
        """Measure a row; return the outcomes, and data about its limit and its photographs."""
        model = open_model(row.model, self.options.cache)
        photographs = open_photographs(row.kind, row.size_bytes, self.options.cache, self.options.images)
        limit = self._limit(row, model, photographs)
        with scratch_folder() as scratch:
            masks = self._reference(model, photographs, scratch)
            round_ = Round(self, row, model, photographs, limit, masks)
            outcomes = [
                round_.measure(contender, repeat)
                for repeat in range(self.options.repeats)
                for contender in planning.rotate_order(list(self.options.contenders), repeat)
            ]
        facts = {"megapixels": photographs.megapixels, "own_bytes": photographs.own_bytes, "count": photographs.count}
        return outcomes, {"limit": limit, "photographs": facts}

    def _limit(self, row: Row, model: Model, photographs: Photographs) -> dict[str, Any]:
        key = f"{row.model} {row.kind} {photographs.megapixels}"
        if key not in self.limits:
            self.report(f"{row.name}: searching the best setting of the bare forward pass")
            began = time.monotonic()
            with scratch_folder() as scratch:
                job = self.limit_job(model, photographs, scratch, seconds=min(1.0, self.options.seconds))
                job = replace(job, candidates=self.candidates.get(row.model, []))
                self.run_module("limit", [job.write(scratch / "job.json")], scratch, limit=_SEARCH_LIMIT)
                self.limits[key] = json.loads(Path(job.answer).read_text("utf-8"))
            self.candidates.setdefault(row.model, self.limits[key]["candidates"])
            self.limits[key]["search_seconds"] = time.monotonic() - began
            self.report(f"  {self.limits[key]['told']} ({self.limits[key]['search_seconds']:.0f} s)")
        return self.limits[key]

    def _reference(self, model: Model, photographs: Photographs, scratch: Path) -> list[Any]:
        folder = scratch / "reference"
        folder.mkdir()
        job = self.job(model, photographs, scratch).write(scratch / "reference.json")
        arguments = [job, photographs.folder, folder, str(self.options.seconds)]
        self.run_module("reference", arguments, scratch, limit=RUN_LIMIT)
        return read_masks(folder)

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
