"""Two runs over the same inputs at once, as Airflow's backfills have them: nothing is lost, and both audits hold."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest

from cloudseg_ops.contracts.errors import ObjectNotFoundError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.audit import audit_run
from gcs_emulator import Emulator
from tests.runs.world import World, make_world

AfterSuccess = Literal["delete", "archive", "keep"]


def _world(emulator: Emulator) -> World:
    world = make_world(emulator)
    world.upload("a.png", good=True)
    world.upload("bad.png", good=False)
    return world


def _assert_accounted_for(world: World, runs: Iterable[str], after_success: AfterSuccess) -> None:
    world.assert_conserved()
    kept = sorted(world.newest) if after_success == "keep" else []
    assert [info.name for info in world.store.list_objects(GcsUri(world.buckets.input))] == kept
    for run_id in runs:
        try:
            audit = audit_run(world.store, world.buckets.layout(run_id), world.buckets.input)
        except ObjectNotFoundError:  # The other run had already taken everything.
            continue
        assert audit.holds, audit
        assert audit.places["input"] == len(kept)


@pytest.mark.parametrize("after_success", ["delete", "archive", "keep"])
def test_two_runs_at_once(emulator: Emulator, after_success: AfterSuccess) -> None:
    world = _world(emulator)
    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(lambda run_id: world.attempt(run_id, after_success), ["one", "two"]))
    assert any(ended)
    # What one of them could not finish, because the other one was faster, is finished by it.
    _assert_accounted_for(world, ["one", "two"], after_success)


@pytest.mark.slow
def test_a_run_overtaken_by_another(emulator: Emulator) -> None:
    counter: list[int] = []
    assert _world(emulator).attempt("probe", "archive", before_request=counter.append)
    for overtaken_at in counter[::3]:
        world = _world(emulator)

        def overtake(number: int, at: int = overtaken_at, world: World = world) -> None:
            if number == at:
                assert world.attempt("faster", "archive")

        assert world.attempt("slower", "archive", before_request=overtake), overtaken_at
        _assert_accounted_for(world, ["slower", "faster"], "archive")
