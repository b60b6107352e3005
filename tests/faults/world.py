"""Buckets in which photographs are uploaded while runs go on, processes are killed and requests fail."""

from __future__ import annotations

import itertools
import json
import os
import random
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import requests

from tests.faults.judge import Judge, Ledger, Upload
from tests.faults.servers import Servers
from tests.faults.steps import Step, run_step
from tests.support import tiny

STEP_SECONDS = 60.0
"""Bound of a step, in scaled time: a step that takes longer is stuck."""
TRIES = 6
"""Tries of a task, as with five retries in Airflow."""
_SIZE = (12, 9)
_numbers = itertools.count()
_processes = get_context("forkserver")
_processes.set_forkserver_preload(["tests.faults.steps"])


@dataclass(frozen=True)
class Chances:
    """Probabilities, 0–1, of what may happen to each try of a step, or between two steps."""

    kill: float = 0.5
    kill_emulator: float = 0.02
    race: float = 0.8
    skew: float = 0.1
    disk_full: float = 0.03


CALM = Chances(0, 0, 0, 0, 0)


@dataclass
class World:
    """The buckets of some runs, with a record of every upload, kill and finding.

    Args:
        servers: The emulator and the proxy.
        seed: What all choices depend on.
        folder: For the results of steps.
    """

    servers: Servers
    seed: int
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="cloudseg-faults-")))
    ledger: Ledger = field(default_factory=Ledger)
    events: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # A server that ran before has the buckets of earlier worlds.
        name = f"world-{os.getpid()}-{time.time_ns() // 10**6}-{next(_numbers)}"
        self.buckets = (f"{name}-in", f"{name}-out", f"{name}-staging")
        for name in self.buckets:
            self._call("POST", "storage/v1/b", json={"name": name}).raise_for_status()
        self.random = random.Random(self.seed)
        self._lock = threading.Lock()
        self.model_digest = ""

    @property
    def judge(self) -> Judge:
        return Judge(self.servers.url, self.buckets[0], self.buckets[1], self.model_digest)

    def upload(self, name: str, *, good: bool) -> None:
        """Upload a photograph, or another file under such a name, past the proxy."""
        with self._lock:
            number = len(self.ledger.uploads)
            data = tiny.photograph(self.seed * 100_000 + number, *_SIZE) if good else f"no image {number}".encode()
            query = {"uploadType": "media", "name": name}
            found = self._call("POST", f"upload/storage/v1/b/{self.buckets[0]}/o", params=query, data=data).json()
            size = _SIZE if good else None
            self.ledger.uploads.append(Upload(name, int(found["generation"]), data, size, found["crc32c"]))

    def race(self) -> None:
        """Upload over an existing name, upload a new one, or delete one, as another user may at any time."""
        self.events["races"] += 1
        names = sorted({upload.name for upload in self.ledger.uploads})
        choice = self.random.random()
        name = self.random.choice(names) if names and choice < 0.8 else f"new/{len(self.ledger.uploads):05}.png"
        if choice > 0.1:
            self.upload(name, good=self.random.random() < 0.8)
            return
        with self._lock:
            generation = self.ledger.newest()[name]
            path = f"storage/v1/b/{self.buckets[0]}/o/{quote(name, safe='')}"
            if self._call("DELETE", path, params={"ifGenerationMatch": str(generation)}).ok:
                self.ledger.removed.add((name, generation))

    def _call(self, method: str, path: str, **how: Any) -> requests.Response:
        for pause in (0.2, 1.0, 3.0, None):
            try:
                return requests.request(method, f"{self.servers.url}/{path}", timeout=60, **how)
            except requests.ConnectionError:
                if pause is None:
                    raise
                time.sleep(pause)  # the emulator is starting again
        raise AssertionError

    def finding(self, kind: str, detail: str) -> None:
        """Record something that must not happen, with what repeats it."""
        self.events[kind] += 1
        self.findings.append(f"{kind} (seed {self.seed}): {detail}")


@dataclass
class Run:
    """One run of the DAG's tasks, each in processes that may be killed."""

    world: World
    run_id: str
    chances: Chances
    after_success: Literal["delete", "archive"] = "delete"

    def go(self) -> bool:
        """Run all tasks; return whether every one of them succeeded."""
        world = self.world
        world.events["runs"] += 1
        snapshot = self._task(Step("sense", *self._where()))
        if snapshot is None:
            return False
        if snapshot == "nothing":
            return True
        facts: dict[str, Any] = {**snapshot, "cleanup": None}
        planned = self._task(Step("plan", *self._where(), facts=facts))
        if planned is None:
            return False
        facts |= planned
        world.model_digest = facts["model"]["digest"]
        done = [self._task(Step("segment", *self._where(), chunk=chunk)) for chunk in facts["chunks"]]
        how: dict[str, Any] = {"after_success": self.after_success, "facts": facts}
        facts["cleanup"] = self._task(Step("clean", *self._where(), **how))
        report = self._task(Step("report", *self._where(), **how))
        if report is not None:
            self._check(report)
        return None not in (*done, facts["cleanup"], report)

    def _where(self) -> tuple[str, tuple[str, str, str], str, str]:
        return self.world.servers.proxy_url, self.world.buckets, self.run_id, ""

    def _task(self, step: Step) -> Any:
        """Run a task with retries; None: every try failed."""
        world = self.world
        for attempt in range(TRIES):
            if world.random.random() < self.chances.race:
                world.race()
            result = Path(world.folder, f"{self.run_id}-{step.kind}-{step.chunk.get('index', 0)}-{attempt}.json")
            changes: dict[str, Any] = {"result": str(result)}
            if step.kind == "sense" and world.random.random() < self.chances.skew:
                world.events["skewed clocks"] += 1
                changes["skew_seconds"] = world.random.choice((-7200.0, 7200.0))
            if world.random.random() < self.chances.disk_full:
                world.events["full disks"] += 1
                changes["disk_full"] = True
            self._try(replace(step, **changes))
            if result.exists():
                found = json.loads(result.read_text())
                return "nothing" if found is None else found
        world.events["tasks that failed for good"] += 1
        return None

    def _try(self, step: Step) -> None:
        world = self.world
        process = _processes.Process(target=run_step, args=(step,))
        process.start()
        world.events["tries"] += 1
        if world.random.random() < self.chances.kill_emulator and (emulator := world.servers.emulator):
            time.sleep(world.random.uniform(0, 0.5))
            world.events["kills"] += 1
            emulator.kill()
        if world.random.random() < self.chances.kill:
            process.join(world.random.uniform(0.02, 0.5))
            if process.is_alive():
                world.events["kills"] += 1
                process.kill()
        _await_end(process, step, world)

    def _check(self, report: dict[str, Any]) -> None:
        """Compare a report with what the suite knows."""
        lost = int(report["lost"]["count"])
        if lost and not self.world.ledger.removed:
            self.world.finding("false alarms", f"{self.run_id} reports {lost} lost: {report['lost']['first']}")


def _await_end(process: BaseProcess, step: Step, world: World) -> None:
    process.join(STEP_SECONDS)
    if process.is_alive():
        world.finding("stuck", f"{step.run_id} {step.kind} took longer than {STEP_SECONDS:.0f} s")
        process.kill()
        process.join()
