"""The tasks of a run as functions for child processes, which may be killed at any moment.

A fork server imports this module, and with it PyTorch, once; each step is a fork of it. Times are scaled down: the
deadlines of requests and the pauses between retries are a fraction of the product's.
"""

from __future__ import annotations

import json
import os
import resource
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import torch
from google.cloud.storage import retry as retries

from cloudseg_ops import __version__
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.chunk import run_chunk
from cloudseg_ops.engine.process.options import EngineOptions
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.report import RunFacts, write_report
from cloudseg_ops.runs.audit import audit_run
from cloudseg_ops.runs.chunk_plan import write_plan
from cloudseg_ops.runs.cleanup import clean_inputs
from cloudseg_ops.runs.cleanup_result import CleanUp
from cloudseg_ops.runs.snapshots import Snapshot, read_inputs, take_snapshot
from cloudseg_ops.storage import Store, _deadlines
from tests.support import tiny

REQUEST_SECONDS = 0.8
"""The scaled deadline of a request."""
RETRY_SECONDS = 6.0
CHUNK_OBJECTS, MAX_CHUNKS = 12, 3
FAILED, DONE = 1, 0


@dataclass(frozen=True)
class Step:
    """One try of a task.

    Attributes:
        kind: Which task.
        url: Address of the proxy.
        buckets: Names of INPUT, OUTPUT and STAGING.
        run_id: The run.
        result: File for the result, as JSON.
        chunk: For `segment`: the chunk.
        after_success: For `clean` and `report`.
        skew_seconds: Error of the clock of the sensor.
        disk_full: Whether no file can be written.
        facts: For `report`: results of the other tasks.
    """

    kind: Literal["sense", "plan", "segment", "clean", "report"]
    url: str
    buckets: tuple[str, str, str]
    run_id: str
    result: str
    chunk: dict[str, Any] = field(default_factory=dict)
    after_success: Literal["delete", "archive"] = "delete"
    skew_seconds: float = 0.0
    disk_full: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def layout(self) -> RunLayout:
        return RunLayout(GcsUri(self.buckets[2]), GcsUri(self.buckets[1]), self.run_id)


def run_step(step: Step) -> None:
    """Run a step in this process, and leave its result; exit with 1 if it fails, as a task's process does."""
    os.environ["STORAGE_EMULATOR_HOST"] = step.url
    torch.set_num_threads(1)
    _deadlines.GRACE_SECONDS = REQUEST_SECONDS
    retries.DEFAULT_RETRY = retries.DEFAULT_RETRY.with_delay(0.02, 0.3, 2.0).with_timeout(RETRY_SECONDS)
    if step.disk_full:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        result = _STEPS[step.kind](Store.open(), step)
        unfinished = Path(f"{step.result}.{os.getpid()}")
        unfinished.write_text(json.dumps(result))
        unfinished.replace(step.result)
    except Exception as error:  # noqa: BLE001  (any error is a failed try)
        os.write(2, f"{step.run_id} {step.kind}: {type(error).__name__}: {error}"[:600].encode() + b"\n")
        os._exit(FAILED)
    os._exit(DONE)


def _sense(store: Store, step: Step) -> Any:
    snapshot = take_snapshot(
        store,
        step.layout,
        GcsUri(step.buckets[0]),
        now=datetime.now(UTC) + timedelta(seconds=1 + step.skew_seconds),
        settle=timedelta(0),
        image_types=("png",),
    )
    return None if snapshot is None else {"objects": snapshot.objects, "bytes": snapshot.total_bytes}


def _plan(store: Store, step: Step) -> Any:
    model = tiny.stage_model(store, step.layout, tiny.weights())
    snapshot = Snapshot(step.layout.snapshot, step.facts["objects"], step.facts["bytes"])
    chunks = write_plan(store, step.layout, snapshot, chunk_objects=CHUNK_OBJECTS, max_chunks=MAX_CHUNKS)
    return {"model": model.to_json(), "chunks": [asdict(chunk) for chunk in chunks]}


def _segment(store: Store, step: Step) -> Any:
    layout, index = step.layout, int(step.chunk["index"])
    options = EngineOptions(
        chunk=GcsUri.parse(step.chunk["uri"]),
        model=layout.model,
        input=GcsUri(step.buckets[0]),
        output=layout.output,
        results=layout.results(index),
        run_id=step.run_id,
        progress=layout.progress(index),
        downloads=3,
        uploads=3,
        batch=4,
        io_processes=0,
    )
    return {"images": run_chunk(options, store, Stop()).images}


def _clean(store: Store, step: Step) -> Any:
    cleanup = clean_inputs(
        store,
        read_inputs(store, step.layout.snapshot),
        input_bucket=step.buckets[0],
        output_bucket=step.buckets[1],
        model_digest=ModelRef.from_json(step.facts["model"]).digest,
        after_success=step.after_success,
    )
    return cleanup.to_json()


def _report(store: Store, step: Step) -> Any:
    model = ModelRef.from_json(step.facts["model"])
    audit = audit_run(store, step.layout, step.buckets[0], model.digest)
    report = write_report(
        store,
        step.layout,
        RunFacts(
            run_id=step.run_id,
            started=datetime.now(UTC).isoformat(),
            objects=audit.objects,
            bytes=int(step.facts["bytes"]),
            model=model,
            chunks=step.facts["chunks"],
            places=audit.places,
            lost=audit.lost,
            after_success=step.after_success,
            version=__version__,
            proven=audit.proven,
            cleanup=CleanUp.from_json(step.facts["cleanup"]) if step.facts["cleanup"] else None,
        ),
    )
    return report.to_json()


_STEPS = {"sense": _sense, "plan": _plan, "segment": _segment, "clean": _clean, "report": _report}
