"""Starts and stops the workers of the storage stand-in, and reads their logs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.emulator import STAGING, chunk_lines
from benchmarks.engine import Staged
from benchmarks.gpu.resources import GENERATION, crc32c_of, mask_number, photo_name, staged_path
from benchmarks.gpu.storage import bind
from benchmarks.models import Model
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.uris import GcsUri

LATENCY = 0.030
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Serving:
    """A running stand-in.

    Attributes:
        url: Its base URL.
        folder: Folder of its files.
        photographs: The distinct photographs.
        pids: Process IDs of its workers.
    """

    url: str
    folder: Path
    photographs: Sequence[bytes]
    pids: Sequence[int]

    def cpu_seconds(self) -> float:
        """Return the CPU time of the workers so far."""
        return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in self.pids)

    def stage(self, model: Model, images: int) -> Staged:
        """Write weights, model.json and a chunk of images, and delete the masks so far."""
        self.delete_masks()
        weights = self._put(f"models/benchmark/{model.staged.name}", model.staged.read_bytes())
        reference = model.reference(str(weights))
        document = self._put("runs/benchmark/model.json", json.dumps(reference.to_json()).encode())
        chunk = self._put("runs/benchmark/chunks/00000.jsonl", chunk_lines(self._sources(images)))
        return Staged(document, chunk, GcsUri(STAGING, "runs/benchmark/results/00000.jsonl"), reference.digest)

    def masks(self) -> list[tuple[float, str]]:
        """Return upload time, seconds since the epoch, and name of each mask, sorted by time."""
        lines = [line.split(" ", 1) for path in (self.folder / "masks").iterdir() for line in _lines(path)]
        return sorted((float(moment), name) for moment, name in lines)

    def any_mask(self) -> bool:
        """Whether a mask was uploaded."""
        return any(path.stat().st_size for path in (self.folder / "masks").iterdir())

    def kept(self) -> dict[int, bytes]:
        """Return the kept masks by the number of their photograph."""
        files = {path.name: path.read_bytes() for path in (self.folder / "kept").iterdir()}
        return {mask_number(name): data for name, data in files.items()}

    def delete_masks(self) -> None:
        """Delete the uploaded masks."""
        for path in (self.folder / "masks").iterdir():
            os.truncate(path, 0)
        for path in (self.folder / "kept").iterdir():
            path.unlink()

    def _sources(self, images: int) -> list[InputObject]:
        known = [(len(data), crc32c_of(data)) for data in self.photographs]
        return [InputObject(photo_name(number), GENERATION, *known[number % len(known)]) for number in range(images)]

    def _put(self, name: str, data: bytes) -> GcsUri:
        path = staged_path(self.folder, STAGING, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return GcsUri(STAGING, name)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if " " in line]


@contextmanager
def running_storage(
    photographs: Sequence[bytes], *, workers: int, latency: float = LATENCY, listed: int = 0, kept: int = 8
) -> Iterator[Serving]:
    """Run the stand-in for the duration of the block.

    Args:
        photographs: The distinct photographs.
        workers: Number of worker processes.
        latency: Delay of each request, seconds.
        listed: Number of photographs in a listing of INPUT.
        kept: Number of masks to keep.
    """
    folder = Path(tempfile.mkdtemp(prefix="cloudseg-storage-"))
    for name in ("photographs", "staged", "kept", "sessions", "masks"):
        (folder / name).mkdir()
    for index, data in enumerate(photographs):
        (folder / "photographs" / f"{index:04}").write_bytes(data)
    settings = json.dumps({"latency": latency, "listed": listed, "kept": kept})
    processes: list[subprocess.Popen[str]] = []
    # Bound but not listening, to reserve the port for the workers.
    with bind(0) as reserved:
        port = reserved.getsockname()[1]
        try:
            for _ in range(workers):
                command = [sys.executable, "-m", "benchmarks.gpu.storage", str(folder), str(port), settings]
                processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            for process in processes:
                if process.stdout is None or process.stdout.readline() != "ready\n":
                    raise RuntimeError("a worker of the storage stand-in did not start")
            pids = [process.pid for process in processes]
            yield Serving(f"http://127.0.0.1:{port}", folder, photographs, pids)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                _await(process)
            shutil.rmtree(folder, ignore_errors=True)


def _await(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_SECONDS)


def environment(serving: Serving) -> dict[str, str]:
    """Return the environment for a process that uses the stand-in."""
    return {**os.environ, "STORAGE_EMULATOR_HOST": serving.url}
