"""The law of conservation: no input is lost if processes are killed at any request and uploads race."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloudseg_ops.contracts.errors import ChunkUnfinishedError, ObjectNotFoundError
from cloudseg_ops.contracts.model_ref import model_digest
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import proof_of
from cloudseg_ops.contracts.provenance import mask_name, quarantine_name
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.chunk import run_chunk
from cloudseg_ops.engine.process.options import EngineOptions
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.runs.audit import audit_run
from cloudseg_ops.runs.chunk_plan import Chunk, write_plan
from cloudseg_ops.runs.cleanup import clean_inputs
from cloudseg_ops.runs.snapshots import read_inputs, take_snapshot
from cloudseg_ops.storage import Store
from cloudseg_ops.storage.evidence import gather_evidence
from gcs_emulator import Emulator
from tests.conftest import Buckets
from tests.runs.killing import KilledError, KillingTransport, store_over
from tests.support import tiny

NAMES = ("a.png", "a.png-2.png", "b/c.png", "d.png")
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


uploads = st.tuples(st.sampled_from(NAMES), st.booleans())
kills = st.tuples(st.integers(0, 60), st.booleans(), st.booleans())


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(
    first=st.lists(uploads, min_size=1, max_size=5),
    kills_of_runs=st.lists(kills, min_size=1, max_size=3),
    racing=st.lists(st.tuples(st.integers(0, 60), uploads), max_size=3),
    after_success=st.sampled_from(["delete", "archive"]),
)
def test_no_input_is_lost_when_processes_die_and_uploads_race(
    emulator: Emulator,
    first: list[tuple[str, bool]],
    kills_of_runs: list[tuple[int, bool, bool]],
    racing: list[tuple[int, tuple[str, bool]]],
    after_success: Literal["delete", "archive"],
) -> None:
    world = make_world(emulator)
    for name, good in first:
        world.upload(name, good=good)
    pending = dict(racing)

    def race(number: int) -> None:
        if number in pending:
            name, good = pending.pop(number)
            world.upload(name, good=good)

    runs = ["run-0"]
    for kill_at, after, new_run in kills_of_runs:
        if new_run:
            runs.append(f"run-{len(runs)}")
        world.attempt(runs[-1], after_success, kill_at, after=after, before_request=race)
        world.assert_conserved()
    # Without further faults, the next run must process all remaining inputs.
    assert world.attempt(runs[-1], after_success)
    assert world.attempt("last", after_success)
    world.assert_conserved()
    assert list(world.store.list_objects(GcsUri(world.buckets.input))) == []
    for run_id in (*runs, "last"):
        try:
            audit = audit_run(world.store, world.buckets.layout(run_id), world.buckets.input)
        except ObjectNotFoundError:
            continue
        assert audit.holds, audit
        assert audit.places["input"] == 0


@pytest.mark.slow
def test_no_input_is_lost_when_a_run_is_killed_at_any_request(emulator: Emulator) -> None:
    """Exhaustive, unlike the property test: a run of three images is killed at each of its requests in turn.

    OUTPUT has proofs of older versions of the same names.
    """
    reference = _world_with_a_past(emulator)
    counter: list[int] = []
    assert reference.attempt("run", "delete", before_request=counter.append)
    for kill_at in range(len(counter)):
        world = _world_with_a_past(emulator)
        world.attempt("run", "delete", kill_at, after=bool(kill_at % 2))
        world.assert_conserved()
        assert world.attempt("run", "delete")
        world.assert_conserved()
        audit = audit_run(world.store, world.buckets.layout("run"), world.buckets.input)
        assert (audit.places["masked"], audit.places["quarantined"], audit.holds) == (2, 1, True), kill_at


def test_keep_leaves_every_input(emulator: Emulator) -> None:
    world = make_world(emulator)
    _three(world)
    before = {info.name: info.generation for info in world.store.list_objects(GcsUri(world.buckets.input))}
    assert world.attempt("run", "keep")
    assert {info.name: info.generation for info in world.store.list_objects(GcsUri(world.buckets.input))} == before
    names = {info.name for info in world.store.list_objects(GcsUri(world.buckets.output))}
    assert names == {mask_name("a.png"), mask_name("b.png"), quarantine_name("bad.png")}


@pytest.mark.parametrize("after_success", ["delete", "archive"])
def test_older_run_never_overwrites_a_newer_mask(
    emulator: Emulator, after_success: Literal["delete", "archive"]
) -> None:
    world = make_world(emulator)
    world.upload("a.png", good=True)

    def overtake(number: int) -> None:
        # The older run has listed OUTPUT and is about to write; a newer upload is processed completely before that.
        if number == overtaken_at:
            world.upload("a.png", good=True)
            assert world.attempt(f"newer-{overtaken_at}", after_success)

    numbers: list[int] = []
    probe = make_world(emulator)
    probe.upload("a.png", good=True)
    assert probe.attempt("probe", after_success, before_request=numbers.append)
    for overtaken_at in numbers:
        world.attempt(f"older-{overtaken_at}", after_success, before_request=overtake)
        world.assert_conserved()
        world.upload("a.png", good=True)


def _world_with_a_past(emulator: Emulator) -> World:
    world = make_world(emulator)
    for name, good in (("a.png", True), ("b.png", False), ("bad.png", True)):
        world.upload(name, good=good)
    assert world.attempt("before", "delete")
    _three(world)
    return world


def _three(world: World) -> None:
    world.upload("a.png", good=True)
    world.upload("b.png", good=True)
    world.upload("bad.png", good=False)
