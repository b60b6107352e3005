"""The law of conservation: no input is lost if processes are killed at any request and uploads race."""

from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloudseg_ops.contracts.errors import ObjectNotFoundError
from cloudseg_ops.contracts.provenance import mask_name, quarantine_name
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.audit import audit_run
from gcs_emulator import Emulator
from tests.runs.world import World, make_world

NAMES = ("a.png", "a.png-2.png", "b/c.png", "d.png")
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
    kill_points=st.lists(kills, min_size=1, max_size=3),
    racing=st.lists(st.tuples(st.integers(0, 60), uploads), max_size=3),
    after_success=st.sampled_from(["delete", "archive"]),
)
def test_no_input_is_lost_when_processes_die_and_uploads_race(
    emulator: Emulator,
    first: list[tuple[str, bool]],
    kill_points: list[tuple[int, bool, bool]],
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
    for kill_at, after, new_run in kill_points:
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


@pytest.mark.slow
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
