"""Runs every part within a time limit, and writes the report: `python -m benchmarks.gpu OUT`, which run.sh calls."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from benchmarks.gpu.context import Context
from benchmarks.gpu.records import Records
from benchmarks.gpu.report import write_report

_ROOT = Path(__file__).parent.parent.parent
_GRACE_SECONDS = 5.0
_MIN_SECONDS = 3.0
_MARGIN_SECONDS = 1.0
"""Seconds before its time limit at which a part should end."""
_REPORT_SECONDS = 4.0
"""Seconds reserved for the report, and for parts that end slowly."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a run.

    Attributes:
        name: Its module, or `tests`.
        limit: Maximum seconds that it may take.
    """

    name: str
    limit: float


PARTS = (
    Part("machine", 45),
    # A dozen processes import PyTorch, which took 5 s each on the first GPU machine.
    Part("tests", 170),
    Part("bare", 145),
    Part("engine", 150),
    Part("profiling", 35),
    Part("sharing", 80),
    Part("start", 50),
    Part("pruned", 60),
    # The slowest and least valuable part, in the remaining time.
    Part("compiled", 300),
)


def main(arguments: list[str]) -> int:
    """Run the parts in sequence; a part that fails or exceeds its time is recorded, and the next one runs."""
    options = _parse(arguments)
    deadline = time.monotonic() + options.seconds - _REPORT_SECONDS
    options.out.mkdir(parents=True, exist_ok=True)
    work = options.work or Path(tempfile.mkdtemp(prefix="cloudseg-gpu-"))
    signal.signal(signal.SIGTERM, _interrupt)
    records = Records(options.out / "machine.jsonl")
    wanted = [part for part in PARTS if not options.parts or part.name in options.parts.split(",")]
    try:
        with (options.out / "log.txt").open("ab") as log:
            for part in wanted:
                limit = min(part.limit, deadline - time.monotonic())
                if limit < _MIN_SECONDS:
                    records.skip(f"part {part.name}", "out of time")
                    continue
                part_deadline = time.monotonic() + limit - _MARGIN_SECONDS
                context = Context(options.out, work, options.rehearse, part_deadline, options.workloads)
                _run(part, context, limit, log, records)
                write_report(options.out)
    except KeyboardInterrupt:
        records.skip("the rest", "interrupted")
    finally:
        write_report(options.out)
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)
    print((options.out / "report.md").read_text("utf-8"))
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--seconds", type=float, default=480, help="total time limit in seconds (480)")
    parser.add_argument("--rehearse", action="store_true", help="run on the CPU, on tiny models")
    parser.add_argument("--parts", help=f"only these, with commas, of {','.join(part.name for part in PARTS)}")
    parser.add_argument("--workloads", type=int, default=99, help="number of models and sizes, from the first on")
    parser.add_argument("--work", type=Path, help="folder for models and photographs, kept (a temporary one)")
    return parser.parse_args(arguments)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(part: Part, context: Context, limit: float, log: BinaryIO, records: Records) -> None:
    """Run a part, or record why it was skipped."""
    print(f"{part.name}: at most {limit:.0f} s", flush=True)
    began = time.monotonic()
    if part.name != "tests":
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.gpu.part", part.name, *context.arguments()]
        code = run_command(command, limit, log)
    elif (_ROOT / "tests" / "cuda").is_dir():
        with (context.out / "tests.txt").open("wb") as output:
            code = run_command(_tests_command(limit), limit, output)
    else:
        records.skip("part tests", "there is no folder tests/cuda")
        return
    records.write("part", name=part.name, seconds=round(time.monotonic() - began, 1), exit_code=code)
    if code is None:
        records.skip(f"part {part.name}", f"cut after {limit:.0f} s")
    elif code:
        records.skip(f"part {part.name}", f"ended with {code}: see {'tests' if part.name == 'tests' else 'log'}.txt")


def run_command(command: list[str], limit: float, output: BinaryIO) -> int | None:
    """Run a command in its own process group, and return its exit code; None if it exceeded its time."""
    process = subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end_group(process)


def _tests_command(limit: float) -> list[str]:
    # Without the repository's options, which need a pytest plugin that a GPU machine may lack.
    pytest_options = ["-o", "addopts=", "-p", "no:cacheprovider", "-p", "benchmarks.gpu.live_report"]
    pytest_options += ["-m", "cuda", "-v", "-rA", f"--timeout={limit:.0f}"]
    return [sys.executable, "-W", "ignore", "-m", "pytest", *pytest_options, "tests/cuda"]


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the processes that a part left behind: first by SIGTERM, so that servers can delete their files."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signum)
        except ProcessLookupError:
            break
        time.sleep(0.5)
    process.wait(_GRACE_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
