"""A small part of `make faults`, and proof that its auditor notices what it should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.faults.schedule import KINDS, Schedule
from tests.faults.servers import Servers, serve
from tests.faults.suite import judge, run_worlds
from tests.faults.world import CALM, Run, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("faults")]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with serve(tmp_path_factory.mktemp("emulator"), seed=1, rate=0.0) as running:
        yield running


@pytest.fixture(scope="module")
def world(servers: Servers) -> World:
    """A world after a run without faults: six masks and two copies in quarantine."""
    world = World(servers, seed=1)
    for number in range(8):
        world.upload(f"sky/{number}.png", good=number % 4 != 3)
    assert Run(world, "calm", CALM).go()
    return world


def test_nothing_is_lost_stuck_or_a_false_alarm(tmp_path: Path) -> None:
    totals = run_worlds(tmp_path, seed=7, rate=0.15, worlds=1, runs=3)
    assert totals.findings == []
    assert sum(totals.faults.values()) >= 20
    assert totals.events["kills"] >= 3
    assert totals.events["races"] >= 5


def test_every_upload_of_a_calm_run_has_its_place(world: World) -> None:
    verdict = world.judge.judge(world.ledger)
    assert (dict(verdict.places), verdict.lost, verdict.false_alarms) == ({"masked": 6, "quarantined": 2}, [], [])


def _delete(world: World, bucket: str, name: str) -> bytes:
    url = f"{world.servers.url}/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
    data = requests.get(f"{url}?alt=media", timeout=30).content
    requests.delete(url, timeout=30).raise_for_status()
    return data


@pytest.mark.parametrize("name", ["sky/1.png.mask.png", "quarantine/sky/3.png"])
def test_judge_notices_a_lost_upload(servers: Servers, name: str) -> None:
    world = World(servers, seed=2)
    for number in range(4):
        world.upload(f"sky/{number}.png", good=number != 3)
    assert Run(world, "calm", CALM).go()
    _delete(world, world.buckets[1], name)
    judge(world, "now")
    assert world.events["lost"] == 1
    assert name.removeprefix("quarantine/").removesuffix(".mask.png") in world.findings[0]


def test_judge_notices_a_good_photograph_in_quarantine(servers: Servers) -> None:
    world = World(servers, seed=3)
    world.upload("a.png", good=True)
    upload = world.ledger.uploads[0]
    metadata = {
        "cloudseg-source-bucket": world.buckets[0],
        "cloudseg-source-name": upload.name,
        "cloudseg-source-generation": str(upload.generation),
        "cloudseg-source-crc32c": upload.crc32c,
        "cloudseg-reason": "broken",
    }
    bucket = f"{servers.url}/storage/v1/b/{world.buckets[1]}/o"
    url = f"{servers.url}/upload/storage/v1/b/{world.buckets[1]}/o"
    query = {"uploadType": "media", "name": "quarantine/a.png"}
    requests.post(url, params=query, data=upload.data, timeout=30).raise_for_status()
    requests.patch(f"{bucket}/quarantine%2Fa.png", json={"metadata": metadata}, timeout=30).raise_for_status()
    judge(world, "now")
    assert world.events["false alarms"] == 1
    assert "is in quarantine, but good: broken" in world.findings[0]


def test_schedule_depends_on_the_seed_and_not_on_the_order() -> None:
    targets = [f"/download/storage/v1/b/in/o/{number}?alt=media" for number in range(400)]

    def kinds(seed: int, order: list[str]) -> dict[str, str | None]:
        schedule = Schedule(seed, 0.3)
        return {target: schedule.decide("GET", target) for target in order}

    assert kinds(1, targets) == kinds(1, targets[::-1])
    assert kinds(1, targets) != kinds(2, targets)
    found = {kind for kind in kinds(1, targets).values() if kind}
    assert found <= set(KINDS)
    assert {"wrong byte", "gzip lie", "stall"} <= found
