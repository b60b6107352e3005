"""One row of the benchmark, measured contender by contender."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import engine, planning
from benchmarks.emulator import OUTPUT
from benchmarks.frameworks import MODULES
from benchmarks.harness import RUN_LIMIT, Harness
from benchmarks.job import Timestamps, steady_window
from benchmarks.measure import run_measured
from benchmarks.models import Model
from benchmarks.photographs import Photographs
from benchmarks.reference import agreement, read_mask
from benchmarks.rows import Row
from benchmarks.running import ContenderError, contender_environment, require_success, scratch_folder
from benchmarks.table import Outcome
from cloudseg_ops.contracts.provenance import mask_name
from cloudseg_ops.contracts.uris import GcsUri


@dataclass
class Round:
    """Measures each contender of one row."""

    harness: Harness
    row: Row
    model: Model
    photographs: Photographs
    limit: dict[str, Any]
    reference: list[Any]

    def measure(self, contender: str, repeat: int) -> Outcome:
        """Measure one contender once; a failure is recorded as its outcome."""
        if reason := self.harness.missing.get(contender):
            return Outcome(contender, repeat, error=reason)
        measure = {"a": self._bare, "b": self._engine}.get(contender, self._loop_or_framework)
        try:
            with scratch_folder() as scratch:
                outcome = measure(contender, repeat, scratch)
        except ContenderError as error:
            outcome = Outcome(contender, repeat, error=str(error))
        summary = outcome.error or f"{outcome.steady:.3g} images/s, {outcome.images} images, {outcome.seconds:.0f} s"
        self.harness.report(f"  {self.row.name} repeat {repeat + 1} {contender}: {summary}")
        return outcome

    def _bare(self, contender: str, repeat: int, scratch: Path) -> Outcome:
        job = self.harness.limit_job(self.model, self.photographs, scratch, seconds=self.harness.options.seconds)
        job = job.with_setting(self.limit["setting"])
        result = self.harness.run_module("limit", [job.write(scratch / "job.json")], scratch, limit=RUN_LIMIT)
        answer = json.loads(Path(job.answer).read_text("utf-8"))
        rate = answer["images_per_second"]
        images = answer["images"]
        agreed = next(
            (one["agreement"] for one in self.limit["tried"] if one["setting"] == self.limit["setting"]), None
        )
        return Outcome(
            contender, repeat, images, rate, rate, None, result.seconds, result.cpu_seconds, result.peak_mib,
            None if agreed is None else (agreed, agreed), more={"by_size": answer["by_size"]},
        )  # fmt: skip

    def _engine(self, contender: str, repeat: int, scratch: Path) -> Outcome:
        emulator, options = self.harness.emulator, self.harness.options
        sources = emulator.fill(*self._inputs(contender))
        staged = engine.stage(emulator, self.model, sources)
        command = engine.command(staged, ["--tether", *options.engine_options])
        before = emulator.cpu_seconds()
        with emulator.latency(options.latency):
            result = run_measured(command, log=scratch / "log", environment=contender_environment(), limit=RUN_LIMIT)
            emulator_cpu = emulator.cpu_seconds() - before
            require_success(result)
            steady = engine.steady_rate(emulator.masks().values())
            agreed = self._agreement()
            cleaning_job = {
                "sources": [one.to_line() for one in sources],
                "digest": staged.digest,
                "scratch": str(scratch),
            }
            (scratch / "cleaning.json").write_text(json.dumps(cleaning_job), "utf-8")
            cleaned = self.harness.run_module("cleaning", [scratch / "cleaning.json"], scratch, limit=RUN_LIMIT)
        self._require_complete(len(sources))
        began, ended = steady_window(Timestamps(scratch).read()) or (0.0, 0.0)
        return Outcome(
            contender,
            repeat,
            images=len(sources),
            steady=steady,
            with_cleaning=1 / (1 / steady + (ended - began) / len(sources)),
            # The others delete photographs as well.
            whole=len(sources) / (result.seconds + ended - began),
            seconds=result.seconds,
            cpu_seconds=result.cpu_seconds,
            peak_mib=result.peak_mib,
            agreement=agreed,
            more={
                "emulator_cpu_seconds": emulator_cpu,
                "cleaning_seconds": ended - began,
                "cleaning_cpu_seconds": cleaned.cpu_seconds,
                "log": engine.log_events(result.output),
            },
        )

    def _loop_or_framework(self, contender: str, repeat: int, scratch: Path) -> Outcome:
        emulator, options = self.harness.emulator, self.harness.options
        names, photographs = self._inputs(contender)
        emulator.fill(names, photographs)
        name = MODULES[contender][0] if contender in MODULES else "article"
        arguments: list[object] = [
            self.harness.job(self.model, self.photographs, scratch).write(scratch / "job.json"),
            *(options.beam_options if contender == "d" else ()),
        ]
        python = options.frameworks_python.absolute() if contender in MODULES else None
        before = emulator.cpu_seconds()
        with emulator.latency(options.latency):
            result = self.harness.run_module(name, arguments, scratch, limit=RUN_LIMIT, python=python)
        self._require_complete(len(names))
        window = steady_window(Timestamps(scratch).read())
        if window is None:
            raise ContenderError("failed: it recorded neither its first fetch nor its last result")
        rate = engine.steady_rate(emulator.masks().values())
        return Outcome(
            contender,
            repeat,
            images=len(names),
            steady=rate,
            with_cleaning=rate,
            whole=len(names) / result.seconds,
            seconds=result.seconds,
            cpu_seconds=result.cpu_seconds,
            peak_mib=result.peak_mib,
            agreement=self._agreement(),
            more={
                "window_seconds": window[1] - window[0],
                "window_rate": len(names) / (window[1] - window[0]),
                "emulator_cpu_seconds": emulator.cpu_seconds() - before,
                "start_seconds": window[0] - result.began,
            },
        )

    def _inputs(self, contender: str) -> tuple[list[str], list[bytes]]:
        row, options = self.row, self.harness.options
        costs = planning.Costs(
            best=1 / self.limit["best_images_per_second"],
            plain=self.limit["plain_seconds"],
            latency=options.latency,
            work=planning.estimate_cpu_seconds(self.photographs.megapixels, row.size_bytes / 1e6),
        )
        count = planning.images_for(
            contender, costs, seconds=options.seconds, cpus=self.harness.cpus, size_bytes=row.size_bytes
        )
        return [f"sky/{index:05}.jpg" for index in range(count)], self.photographs.files()

    def _require_complete(self, images: int) -> None:
        masks, left = len(self.harness.emulator.masks()), self.harness.emulator.inputs_left()
        if masks != images or left:
            raise ContenderError(f"failed: of {images} photographs it left {left}, and {masks} masks are there")

    def _agreement(self) -> tuple[float, float] | None:
        """Return mean and minimum share of pixels on which masks agree with the reference."""
        shares = []
        for index, reference in enumerate(self.reference):
            uri = GcsUri(OUTPUT, mask_name(f"sky/{index:05}.jpg"))
            if self.harness.emulator.store.stat(uri):
                shares.append(agreement(read_mask(self.harness.emulator.store.read(uri)), reference))
        return (sum(shares) / len(shares), min(shares)) if shares else None
