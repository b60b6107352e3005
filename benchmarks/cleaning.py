"""Deletes proven inputs, as the DAG's `clean_inputs` does, and records how long it takes."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.emulator import INPUT, OUTPUT
from benchmarks.job import Timestamps
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.runs.cleanup import clean_inputs
from cloudseg_ops.storage import Store


def main(path: str) -> None:
    """Clean up after a run; `path` names a JSON file with `sources`, `digest` and `scratch`."""
    job = json.loads(Path(path).read_text("utf-8"))
    sources = [InputObject.from_line(line) for line in job["sources"]]
    store, timestamps = Store.open(), Timestamps(job["scratch"])
    timestamps.record_start()
    clean_inputs(
        store,
        sources,
        input_bucket=INPUT,
        output_bucket=OUTPUT,
        model_digest=job["digest"],
        after_success="delete",
    )
    timestamps.record_end()
