"""Buckets in which uploads and whole runs take place, and processes are killed."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal

from cloudseg_ops.contracts.errors import ChunkUnfinishedError, ObjectNotFoundError
from cloudseg_ops.contracts.model_ref import model_digest
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import proof_of
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.chunk import run_chunk
from cloudseg_ops.engine.process.options import EngineOptions
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.runs.chunk_plan import Chunk, write_plan
from cloudseg_ops.runs.cleanup import clean_inputs
from cloudseg_ops.runs.snapshots import read_inputs, take_snapshot
from cloudseg_ops.storage import Store
from cloudseg_ops.storage.evidence import gather_evidence
from gcs_emulator import Emulator
from tests.conftest import Buckets
from tests.runs.killing import KilledError, KillingTransport, store_over
from tests.support import tiny

_worlds = count()
_weights = tiny.weights()
_digest = model_digest(hashlib.md5(_weights).hexdigest(), tiny.PARAMS)


@dataclass
class World:
    """Buckets with concurrent uploads and runs, and a record of every upload."""

    emulator: Emulator
    buckets: Buckets
    store: Store
    newest: dict[str, InputObject] = field(default_factory=dict)
    uploads: int = 0

    def upload(self, name: str, *, good: bool) -> None:
        self.uploads += 1
        data = tiny.photograph(self.uploads) if good else f"no image {self.uploads}".encode()
        info = self.store.write(GcsUri(self.buckets.input, name), data)
        self.newest[name] = InputObject(name, info.generation, info.size, info.crc32c)

    def assert_conserved(self) -> None:
        """Check by the record of uploads, not by what any run wrote."""
        versions = list(self.newest.values())
        found = gather_evidence(
            self.store, versions, input_bucket=self.buckets.input, output_bucket=self.buckets.output
        )
        for version, evidence in zip(versions, found, strict=True):
            in_input = evidence.current is not None and evidence.current.generation == version.generation
            proof = proof_of(version, self.buckets.input, evidence, model_digest=None)
            assert in_input or proof != "none", f"lost: {version}"

    def attempt(
        self,
        run_id: str,
        after_success: Literal["delete", "archive", "keep"],
        kill_at: int | None = None,
        *,
        after: bool = False,
        before_request: Callable[[int], None] | None = None,
    ) -> bool:
        """Run the tasks of the DAG, from the first one; return False if a task was killed.

        Inputs are cleaned up after a killed chunk too, by a separate process, as in the DAG.
        """
        transport = KillingTransport(kill_at, after=after, before_request=before_request)
        store = store_over(self.emulator.client(), transport)
        survived = True
        try:
            chunks = self._plan(store, run_id)
            for chunk in chunks:
                self._segment(store, run_id, chunk)
        except (KilledError, ChunkUnfinishedError):
            survived = False
            store = Store(self.emulator.client())
        try:
            self._clean(store, run_id, after_success)
        except KilledError:
            survived = False
        except ObjectNotFoundError:
            assert not survived or not chunks, "a run without a snapshot has nothing to clean up"
        return survived

    def _plan(self, store: Store, run_id: str) -> list[Chunk]:
        layout = self.buckets.layout(run_id)
        snapshot = take_snapshot(
            store,
            layout,
            GcsUri(self.buckets.input),
            now=datetime.now(UTC) + timedelta(seconds=1),
            settle=timedelta(0),
            image_types=("png",),
        )
        if snapshot is None:
            return []
        tiny.stage_model(store, layout, _weights)
        return write_plan(store, layout, snapshot, chunk_objects=3, max_chunks=2)

    def _segment(self, store: Store, run_id: str, chunk: Chunk) -> None:
        layout = self.buckets.layout(run_id)
        options = EngineOptions(
            chunk=GcsUri.parse(chunk.uri),
            model=layout.model,
            input=GcsUri(self.buckets.input),
            output=layout.output,
            results=layout.results(chunk.index),
            run_id=run_id,
            progress=layout.progress(chunk.index),
            downloads=2,
            uploads=2,
            batch=2,
        )
        run_chunk(options, store, Stop())

    def _clean(self, store: Store, run_id: str, after_success: Literal["delete", "archive", "keep"]) -> None:
        clean_inputs(
            store,
            read_inputs(store, self.buckets.layout(run_id).snapshot),
            input_bucket=self.buckets.input,
            output_bucket=self.buckets.output,
            model_digest=_digest,
            after_success=after_success,
        )


def make_world(emulator: Emulator) -> World:
    number = next(_worlds)
    buckets = Buckets(f"world-{number}-input", f"world-{number}-output", f"world-{number}-staging")
    store = Store(emulator.client())
    for name in (buckets.input, buckets.output, buckets.staging):
        store.create_bucket(name)
    return World(emulator, buckets, store)
