"""Runs the emulator in its own process, with the buckets of one measurement."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psutil
import requests

from benchmarks.ending import exiting_on_signals
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store

INPUT, OUTPUT, STAGING = "bench-input", "bench-output", "bench-staging"


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator.

    Attributes:
        url: Its base URL.
        pid: Its process ID.
        store: A client with which the harness fills and empties it.
    """

    url: str
    pid: int
    store: Store

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far, in seconds."""
        return sum(psutil.Process(self.pid).cpu_times()[:2])

    @contextmanager
    def latency(self, seconds: float) -> Iterator[None]:
        """Delay every request, as Cloud Storage would."""
        self.set_latency(seconds)
        try:
            yield
        finally:
            self.set_latency(0)

    def set_latency(self, seconds: float) -> None:
        """Set the delay of every request, in seconds."""
        faults = f"{self.url}/_emulator/faults"
        requests.post(faults, json={"latency": seconds}, timeout=10).raise_for_status()

    def fill(self, names: Sequence[str], photographs: Sequence[bytes]) -> list[InputObject]:
        """Empty all buckets, then upload photographs in turn under these names."""
        self.empty()

        def put(numbered: tuple[int, str]) -> InputObject:
            index, name = numbered
            info = self.store.write(GcsUri(INPUT, name), photographs[index % len(photographs)])
            return InputObject(info.name, info.generation, info.size, info.crc32c)

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(put, enumerate(names)))

    def empty(self) -> None:
        """Delete everything, so that leftovers do not slow down the next measurement."""
        for bucket in (INPUT, OUTPUT, STAGING):
            found = list(self.store.list_objects(GcsUri(bucket)))
            self.store.delete_many(bucket, ((info.name, info.generation) for info in found))

    def stage(self, name: str, data: bytes) -> GcsUri:
        """Write a file to STAGING."""
        self.store.write(GcsUri(STAGING, name), data)
        return GcsUri(STAGING, name)

    def masks(self) -> dict[str, datetime]:
        """Return the names in OUTPUT, with the time of each write."""
        return {info.name: info.updated for info in self.store.list_objects(GcsUri(OUTPUT))}

    def inputs_left(self) -> int:
        """Return how many photographs have not been deleted."""
        return sum(1 for _ in self.store.list_objects(GcsUri(INPUT)))


@contextmanager
def running_emulator(directory: str | None = None) -> Iterator[Emulator]:
    """Run an emulator on a free port, in memory or in a directory, with empty buckets."""
    where = [] if directory is None else ["--directory", directory]
    command = [sys.executable, "-m", "gcs_emulator", "--port", "0", *where]
    with exiting_on_signals(), _process(command) as process:
        assert process.stdout
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(f"the emulator did not start; its output was {line!r}")
        url = line.split()[-1]
        os.environ["STORAGE_EMULATOR_HOST"] = url
        store = Store.open()
        for bucket in (INPUT, OUTPUT, STAGING):
            store.create_bucket(bucket)
        yield Emulator(url, process.pid, store)


@contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def chunk_lines(sources: Sequence[InputObject]) -> bytes:
    """Return the chunk file of these input versions."""
    return "".join(source.to_line() + "\n" for source in sources).encode()
