"""Measures the engine's CPU time per stage.

    python -m benchmarks.stages --model example --images 2000

The engine runs a chunk as usual, but its process reads each thread's CPU clock when the thread ends, or at the end of
the run. Threads not started by Python belong to OpenMP: the forward pass of a network with several threads. The
emulator's CPU time is shown as well, because on a machine with few cores it competes with the engine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

from benchmarks import engine
from benchmarks.emulator import running_emulator
from benchmarks.models import open_model
from benchmarks.photographs import open_photographs
from benchmarks.running import contender_environment

_FILE_BYTES = 50_000
_CHILD = "--as-the-engine"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="example", help="of benchmarks.models")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", default="256", help="256, 1024 or mixed")
    parser.add_argument("--latency", type=float, default=0.030, help="delay of each request in seconds (0.030)")
    parser.add_argument("--state", type=Path, default=Path(".cloudseg"), help="folder for caches (.cloudseg)")
    options = parser.parse_args()
    cache = options.state / "bench"
    photographs = open_photographs(options.size, _FILE_BYTES, cache, None)
    model = open_model(options.model, cache)
    names = [f"sky/{index:05}.jpg" for index in range(options.images)]
    with running_emulator() as emulator:
        staged = engine.stage(emulator, model, emulator.fill(names, photographs.files()))
        before = emulator.cpu_seconds()
        with emulator.latency(options.latency):
            arguments = engine.command(staged, ["--io-processes", "0"])[3:]
            command = [sys.executable, "-m", "benchmarks.stages", _CHILD, *arguments]
            done = subprocess.run(command, env=os.environ | contender_environment(), stdout=subprocess.PIPE, check=True)
        emulator_seconds = emulator.cpu_seconds() - before
    seconds_by_stage = json.loads(done.stdout.splitlines()[-1])
    print("\n".join(table(seconds_by_stage, emulator_seconds, options.images)))


def table(seconds_by_stage: dict[str, float], emulator_seconds: float, images: int) -> list[str]:
    """Return one line per stage, in ms of CPU time per image, largest first."""
    wall = seconds_by_stage.pop("wall")
    rows = sorted(seconds_by_stage.items(), key=lambda row: -row[1])
    lines = [f"{name:24}{seconds / images * 1000:8.2f}" for name, seconds in rows]
    lines.append(f"{'the emulator':24}{emulator_seconds / images * 1000:8.2f}")
    spent = sum(seconds_by_stage.values()) + emulator_seconds
    lines.append(f"{'total':24}{spent / images * 1000:8.2f}")
    lines.append(f"{images} images in {wall:.1f} s; {spent / wall:.2f} cores busy")
    return lines


class Clocks:
    """Records the CPU time of threads, by the first part of their names."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def install(self) -> None:
        """Record the CPU time of each thread when it ends, from now on."""
        run, note = threading.Thread.run, self._note

        def timed(thread: threading.Thread) -> None:
            try:
                run(thread)
            finally:
                note(thread.name, time.thread_time())

        threading.Thread.run = timed  # type: ignore

    def seconds(self) -> dict[str, float]:
        """Return the CPU seconds so far, by stage, of ended and of running threads."""
        for thread in threading.enumerate():
            if thread.ident:
                self._note(thread.name, time.clock_gettime(time.pthread_getcpuclockid(thread.ident)))
        found = dict(self._seconds)
        return found | {"OpenMP": time.process_time() - sum(found.values())}

    def _note(self, name: str, seconds: float) -> None:
        with self._lock:
            self._seconds[name.rstrip("0123456789").rstrip("-_")] += seconds


def run_instrumented(arguments: list[str]) -> None:
    """Run the engine for one chunk, and print the CPU time of its threads."""
    from cloudseg_ops.engine.memory.process_memory import tune_malloc
    from cloudseg_ops.engine.process.stopping import Stop

    clocks = Clocks()
    clocks.install()
    tune_malloc()
    began = time.monotonic()
    from cloudseg_ops.engine.cli import main as run

    code = run(arguments, Stop())
    print(json.dumps({"wall": time.monotonic() - began, **clocks.seconds()}), flush=True)
    os._exit(code)


if __name__ == "__main__":
    if sys.argv[1:2] == [_CHILD]:
        run_instrumented(sys.argv[2:])
    main()
