"""Contender b, the engine as users run it, and then the deletion of what it has proven, as `clean_inputs` does it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks.emulator import INPUT, OUTPUT, STAGING, Emulator, chunk_lines
from benchmarks.models import Model
from cloudseg_ops.objects import InputObject
from cloudseg_ops.provenance import mask_name
from cloudseg_ops.results import Outcome, Result
from cloudseg_ops.uris import GcsUri

_RESULTS = "runs/benchmark/results/00000.jsonl"


@dataclass(frozen=True, slots=True)
class Staged:
    """What STAGING holds for one run of the engine."""

    model: GcsUri
    chunk: GcsUri
    results: GcsUri
    digest: str


def stage(emulator: Emulator, model: Model, sources: Sequence[InputObject]) -> Staged:
    """Write weights, model.json and the chunk, as `pull_model` and `plan_chunks` do."""
    weights = emulator.stage(f"models/benchmark/{model.staged.name}", model.staged.read_bytes())
    reference = model.reference(str(weights))
    document = emulator.stage("runs/benchmark/model.json", json.dumps(reference.to_json()).encode())
    chunk = emulator.stage("runs/benchmark/chunks/00000.jsonl", chunk_lines(sources))
    return Staged(document, chunk, GcsUri(STAGING, _RESULTS), reference.digest)


def command(staged: Staged, options: Sequence[str]) -> list[str]:
    """Give the engine's command line: only what it must have, and the options of the person who asks."""
    required = {
        "--chunk": staged.chunk,
        "--model": staged.model,
        "--input": GcsUri(INPUT),
        "--output": GcsUri(OUTPUT),
        "--results": staged.results,
        "--run-id": "benchmark",
        "--log-format": "json",
    }
    given = [part for name, value in required.items() for part in (name, str(value))]
    return [sys.executable, "-m", "cloudseg_ops.engine", *given, *options]


def read_results(emulator: Emulator, staged: Staged) -> list[Result]:
    """Read the results file."""
    return [Result.from_line(line) for line in emulator.store.read_lines(staged.results)]


def steady_seconds(results: Sequence[Result], written: Mapping[str, datetime]) -> float:
    """Give the time from the first fetch to the last result.

    A result says how long its image took from the start of its download to the end of its upload; when that end was,
    the mask in OUTPUT says.

    Args:
        results: The results file.
        written: When each mask was, by its name.
    """
    done = [
        (written[mask_name(result.source.name)].timestamp(), result.seconds) for result in results if _is_done(result)
    ]
    return max(end for end, _ in done) - min(end - seconds for end, seconds in done)


def _is_done(result: Result) -> bool:
    return result.outcome is Outcome.DONE


def log_events(output: str) -> dict[str, Any]:
    """Give what the engine's JSON log says of the chunk: its summary, and anything it tells of its start."""
    found: dict[str, Any] = {}
    for line in output.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") not in {None, "log", "progress"}:
            found[str(event["event"])] = {key: value for key, value in event.items() if key not in {"severity", "time"}}
    return found
