"""Measures the time from the start of the engine's process to its first mask, for a chunk of one image.

    python -m benchmarks.starting_up
    python -m benchmarks.starting_up --code ../another-checkout

The emulator runs in its own process and delays every request. A mask's time is the one that the emulator recorded.
A first start, which is not counted, reads all files into the page cache.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import engine
from benchmarks.emulator import Emulator, running_emulator
from benchmarks.models import Model, open_model
from benchmarks.photographs import open_photographs

_RUN_LIMIT = 120
_FILE_BYTES = 50_000


@dataclass(frozen=True, slots=True)
class Start:
    """One start of the engine.

    Attributes:
        first_mask: Seconds from the start of the process to the time of the mask.
        whole: Seconds from start to end of the process.
        cpu: CPU seconds used by the process.
    """

    first_mask: float
    whole: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="example,unet31m,free", help="of benchmarks.models, with commas")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.030, help="delay of each request in seconds (0.030)")
    parser.add_argument("--code", type=Path, default=Path(), help="checkout whose engine is started (this one)")
    parser.add_argument("--state", type=Path, default=Path(".cloudseg"), help="folder for caches (.cloudseg)")
    options = parser.parse_args()
    cache = options.state / "bench"
    photograph = open_photographs("256", _FILE_BYTES, cache, None).files()[0]
    print("model: seconds to the first mask, to the end; CPU seconds: median (least–most)")
    with running_emulator() as emulator:
        for name in options.models.split(","):
            model = open_model(name, cache)
            starts = [
                start(emulator, model, photograph, options.latency, options.code) for _ in range(options.repeats + 1)
            ][1:]
            columns = (spread([getattr(one, key) for one in starts]) for key in ("first_mask", "whole", "cpu"))
            print(f"{name}: {', '.join(columns)}", flush=True)


def start(emulator: Emulator, model: Model, photograph: bytes, latency: float, code: Path) -> Start:
    """Run the engine of `code` on one photograph.

    Raises:
        SystemExit: It failed; the message has its output.
    """
    staged = engine.stage(emulator, model, emulator.fill(["sky/00000.jpg"], [photograph]))
    environment = os.environ | {"PYTHONPATH": str(code.resolve())}
    before = os.times()
    with emulator.latency(latency), tempfile.TemporaryFile() as log:
        began = time.time()
        command = engine.command(staged, [])
        done = subprocess.run(
            command, env=environment, cwd=code, stdout=log, stderr=log, timeout=_RUN_LIMIT, check=False
        )
        ended = time.time()
        log.seek(0)
        if done.returncode:
            raise SystemExit(log.read().decode(errors="replace"))
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    (written,) = emulator.masks().values()
    return Start(written.timestamp() - began, ended - began, cpu)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


if __name__ == "__main__":
    main()
