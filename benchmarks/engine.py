"""Contender b: the engine with users' defaults, then deletion of proven inputs as in `clean_inputs`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks.emulator import INPUT, OUTPUT, STAGING, Emulator, chunk_lines
from benchmarks.models import Model
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.uris import GcsUri

_RESULTS = "runs/benchmark/results/00000.jsonl"


@dataclass(frozen=True, slots=True)
class Staged:
    """The files in STAGING for one run of the engine."""

    model: GcsUri
    chunk: GcsUri
    results: GcsUri
    digest: str


def stage(emulator: Emulator, model: Model, sources: Sequence[InputObject]) -> Staged:
    """Write weights, model.json and the chunk, like `pull_model` and `plan_chunks`."""
    weights = emulator.stage(f"models/benchmark/{model.staged.name}", model.staged.read_bytes())
    reference = model.reference(str(weights))
    document = emulator.stage("runs/benchmark/model.json", json.dumps(reference.to_json()).encode())
    chunk = emulator.stage("runs/benchmark/chunks/00000.jsonl", chunk_lines(sources))
    return Staged(document, chunk, GcsUri(STAGING, _RESULTS), reference.digest)


def command(staged: Staged, options: Sequence[str]) -> list[str]:
    """Return the engine's command line: the required arguments and the user's options."""
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


def steady_rate(written: Iterable[datetime]) -> float:
    """Return images per second over the later half of the masks.

    By then the model is loaded, and masks no longer come from queues that were filled in advance.

    Args:
        written: Upload time of each mask.
    """
    times = sorted(time.timestamp() for time in written)
    begin = len(times) // 2
    return (len(times) - begin) / (times[-1] - times[begin - 1])


def log_events(output: str) -> dict[str, Any]:
    """Return the chunk's summary and start-up data from the engine's JSON log."""
    found: dict[str, Any] = {}
    for line in output.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") not in {None, "log", "progress"}:
            found[str(event["event"])] = {key: value for key, value in event.items() if key not in {"severity", "time"}}
    return found
