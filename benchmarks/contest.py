"""Measures one row: prepares photographs, finds the limit, then runs each contender in turn, repeatedly."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import planning
from benchmarks.harness import RUN_LIMIT, Harness
from benchmarks.models import Model, open_model
from benchmarks.photographs import Photographs, open_photographs
from benchmarks.reference import read_masks
from benchmarks.round import Round
from benchmarks.rows import Row
from benchmarks.running import scratch_folder
from benchmarks.table import Outcome

_SEARCH_LIMIT = 1800.0


@dataclass
class Contest:
    """Measures contenders on rows.

    Attributes:
        harness: The options, the storage, and how processes are run.
        limits: Results of finished searches, by model and sizes; rows with the same ones share them.
        candidates: The fastest settings of a model's first search.
    """

    harness: Harness
    limits: dict[str, dict[str, Any]] = field(default_factory=dict)
    candidates: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def run(self, row: Row) -> tuple[list[Outcome], dict[str, Any]]:
        """Measure a row; return the outcomes, and data about its limit and its photographs."""
        options = self.harness.options
        model = open_model(row.model, options.cache, model_python=options.model_python)
        photographs = open_photographs(row.kind, row.size_bytes, options.cache, options.images)
        limit = self._limit(row, model, photographs)
        with scratch_folder() as scratch:
            masks = self._reference(model, photographs, scratch)
            round_ = Round(self.harness, row, model, photographs, limit, masks)
            outcomes = [
                round_.measure(contender, repeat)
                for repeat in range(options.repeats)
                for contender in planning.rotate_order(list(options.contenders), repeat)
            ]
        facts = {"megapixels": photographs.megapixels, "own_bytes": photographs.own_bytes, "count": photographs.count}
        return outcomes, {"limit": limit, "photographs": facts}

    def _limit(self, row: Row, model: Model, photographs: Photographs) -> dict[str, Any]:
        key = f"{row.model} {row.kind} {photographs.megapixels}"
        if key not in self.limits:
            self.harness.report(f"{row.name}: searching the best setting of the bare forward pass")
            began = time.monotonic()
            with scratch_folder() as scratch:
                seconds = min(1.0, self.harness.options.seconds)
                job = self.harness.limit_job(model, photographs, scratch, seconds=seconds)
                job = replace(job, candidates=self.candidates.get(row.model, []))
                self.harness.run_module("limit", [job.write(scratch / "job.json")], scratch, limit=_SEARCH_LIMIT)
                self.limits[key] = json.loads(Path(job.answer).read_text("utf-8"))
            self.candidates.setdefault(row.model, self.limits[key]["candidates"])
            self.limits[key]["search_seconds"] = time.monotonic() - began
            self.harness.report(f"  {self.limits[key]['told']} ({self.limits[key]['search_seconds']:.0f} s)")
        return self.limits[key]

    def _reference(self, model: Model, photographs: Photographs, scratch: Path) -> list[Any]:
        folder = scratch / "reference"
        folder.mkdir()
        job = self.harness.job(model, photographs, scratch).write(scratch / "reference.json")
        arguments = [job, photographs.folder, folder, str(self.harness.options.seconds)]
        self.harness.run_module("reference", arguments, scratch, limit=RUN_LIMIT)
        return read_masks(folder)
