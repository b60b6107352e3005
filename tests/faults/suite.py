"""Worlds one after the other, each with faults, kills and races, and then a calm run that must finish everything."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.servers import Servers, serve
from tests.faults.world import CALM, Chances, Run, World

_FIRST_UPLOADS = 24
_LAST_RUNS = 4


@dataclass
class Totals:
    """What was injected and found.

    Attributes:
        faults: Number of faults by kind.
        events: Number of runs, tries, kills, races, and of findings by kind.
        findings: What must not happen, each with its seed.
        requests: Number of requests through the proxy.
    """

    faults: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    requests: int = 0


def run_worlds(
    folder: Path,
    seed: int,
    rate: float,
    *,
    worlds: int = 10**5,
    seconds: float = 1e9,
    jobs: int = 1,
    runs: int = 6,
    endpoint: str | None = None,
) -> Totals:
    """Run worlds until their number or the time is reached.

    Args:
        folder: For the emulators' state; each world's is removed after it.
        seed: Seed of the first world; each next one has the next number.
        rate: Share of requests that get a fault, 0–1.
        worlds: Maximum number of worlds.
        seconds: Time after which no further world begins.
        jobs: Number of worlds at once; most of their time is spent waiting.
        runs: Number of runs in each world, before the calm ones.
        endpoint: Address of a storage server to use; None: an emulator for each world.
    """
    totals, began, lock = Totals(), time.monotonic(), threading.Lock()

    def run_one(number: int) -> None:
        if number >= jobs and time.monotonic() - began > seconds:
            return
        state = folder / f"world-{number}"
        with serve(state, seed + number, rate, endpoint) as servers:
            world = run_world(servers, seed + number, runs)
            counts = servers.counts()
        with lock:
            totals.requests += counts["requests"]
            totals.faults.update(counts["injected"])
            totals.events.update(world.events)
            totals.findings += world.findings
        for used in (world.folder, state):
            shutil.rmtree(used, ignore_errors=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(run_one, range(worlds)))
    return totals


def run_world(servers: Servers, seed: int, runs: int, chances: Chances | None = None) -> World:
    """Run the tasks of several runs over changing buckets, and judge after each; return the world.

    Args:
        servers: The emulator and the proxy.
        seed: What all choices depend on.
        runs: Number of runs before the calm ones.
        chances: What else may happen.
    """
    world, chances = World(servers, seed), chances or Chances()
    for number in range(_FIRST_UPLOADS):
        world.upload(f"sky/{number:03}.png", good=number % 5 != 4)
    for number in range(runs):
        at_once = [Run(world, f"r{number}", chances, "archive" if number % 3 == 2 else "delete")]
        if number % 3 == 1:
            world.events["races"] += 1
            at_once.append(Run(world, f"r{number}-at-once", chances))
        _at_once(at_once)
        judge(world, f"after run {number}")
    _finish(world)
    return world


def _at_once(runs: list[Run]) -> None:
    threads = [threading.Thread(target=run.go) for run in runs[1:]]
    for thread in threads:
        thread.start()
    runs[0].go()
    for thread in threads:
        thread.join()


def judge(world: World, when: str) -> None:
    """Judge the buckets of a world, and record what must not be."""
    verdict = world.judge.judge(world.ledger)
    for name in verdict.lost:
        world.finding("lost", f"{name} {when}")
    for alarm in verdict.false_alarms:
        world.finding("false alarms", f"{alarm} {when}")


def _finish(world: World) -> None:
    """Stop all faults, and check that a few runs bring every upload to its end."""
    world.servers.set_rate(0)
    time.sleep(1.0)  # late ghosts
    for number in range(_LAST_RUNS):
        if not Run(world, f"calm{number}", CALM).go():
            world.finding("stuck", f"the calm run {number} failed")
        if world.judge.judge(world.ledger).places["input"] == 0:
            break
    else:
        world.finding("stuck", f"{world.judge.judge(world.ledger).places['input']} inputs are left after calm runs")
    judge(world, "at the end")
