"""Runs a contender's process and measures time, CPU time and memory, including all its descendants.

Memory is the proportional set size (PSS: shared pages are divided among the processes that share them), summed over
the process tree and sampled; the peak is that of the samples. CPU time is the kernel's total for ended processes. While
it measures, this process adopts orphans, so that daemons that a framework leaves behind are counted as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.ending import exiting_on_signals

SAMPLE_SECONDS = 0.5
_ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Measured:
    """The resources used by a process tree.

    Attributes:
        code: The process's exit code; -9 if it exceeded its limit.
        began: When it was started, seconds since the epoch.
        seconds: Wall-clock seconds from start to end.
        cpu_seconds: User and system time of all processes.
        peak_mib: Highest sum of proportional set sizes, MiB.
        output: The end of its output.
    """

    code: int
    began: float
    seconds: float
    cpu_seconds: float
    peak_mib: float
    output: str


def run_measured(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None, limit: float = 600.0
) -> Measured:
    """Run a command to its end, or kill it after `limit` seconds; its output goes to `log`.

    Its standard input is a pipe that stays open: an engine with `--tether` stops if this process is killed.
    """
    excluded = {child.pid for child in psutil.Process().children()}
    before = _cpu_of_ended()
    began, start = time.time(), time.monotonic()
    with exiting_on_signals(), _adopting_orphans(), log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            with _sampling(excluded) as samples:
                try:
                    code = process.wait(limit)
                except subprocess.TimeoutExpired:
                    code = -signal.SIGKILL
            seconds = time.monotonic() - start
        finally:
            # Also on Ctrl-C and SIGTERM: no process of a contender may outlive the measurement.
            _end_all(excluded)
            if process.stdin:
                process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    tail = log.read_text("utf-8", "replace")[-4000:]
    return Measured(code, began, seconds, _cpu_of_ended() - before, max(samples, default=0.0), tail)


def _cpu_of_ended() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Become the parent of descendants whose own parent ends; Linux only, elsewhere they are not counted."""
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    if prctl:
        prctl(_ADOPT_ORPHANS, 1, 0, 0, 0)
    try:
        yield
    finally:
        if prctl:
            prctl(_ADOPT_ORPHANS, 0, 0, 0, 0)


@contextlib.contextmanager
def _sampling(excluded: set[int]) -> Iterator[list[float]]:
    samples: list[float] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            samples.append(sum(_pss_mib(process) for process in _descendants(excluded)))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _descendants(excluded: set[int]) -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        if child.pid not in excluded:
            with contextlib.suppress(psutil.Error):
                found += [child, *child.children(recursive=True)]
    return found


def _pss_mib(process: psutil.Process) -> float:
    """Proportional set size; 0 for a process that has ended, or is another user's."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _end_all(excluded: set[int]) -> None:
    """End the processes that a contender left behind, and reap them, so that their CPU time is counted."""
    remaining = _descendants(excluded)
    for process in remaining:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(remaining, timeout=_GRACE_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=_GRACE_SECONDS)
    for process in remaining:
        # Adopted processes are children of this one, which has to reap them.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
