"""Fuzzes for as long as it is given: `python -m tests.fuzz --seconds 3600`; exits with 1 if it found anything.

Each target runs in processes that may crash or hang. What fails is saved in build/fuzz, under its target's name.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.targets import TARGETS

_SAVED = Path(__file__).parents[2] / "build/fuzz"
_SLICE_SECONDS = 20.0
_HANG_SECONDS = 60.0
_MOST_FAILURES = 20


def main(arguments: list[str]) -> int:
    """Run the targets in turn; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long (%(default)s)")
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), default=list(TARGETS), metavar="NAME")
    parser.add_argument("--first", type=int, default=int(time.time()) << 20, help="number of the first input")
    parser.add_argument("--atheris", action="store_true", help="guided by coverage; atheris must be installed")
    options = parser.parse_args(arguments)
    # Processes take seconds to start, which do not count.
    left = float(options.seconds)
    numbers = dict.fromkeys(options.targets, options.first)
    failures = dict.fromkeys(options.targets, 0)
    share = min(_SLICE_SECONDS, options.seconds / len(numbers))
    while left > 0 and sum(failures.values()) < _MOST_FAILURES:
        for name in options.targets:
            ran, failed = _slice(name, numbers[name], share, atheris=options.atheris)
            numbers[name] += ran
            failures[name] += failed
            left -= share
    for name in options.targets:
        print(f"{name}: {numbers[name] - options.first:,} inputs, {failures[name]} failures")
    return int(any(failures.values()))


def _slice(name: str, first: int, seconds: float, *, atheris: bool) -> tuple[int, bool]:
    """Run a target in a process; returns how many inputs it ran, and whether one of them failed."""
    module = "tests.fuzz.guided" if atheris else "tests.fuzz.loop"
    with tempfile.TemporaryDirectory(prefix="cloudseg-fuzz-") as folder:
        current, count = Path(folder) / "input", Path(folder) / "count"
        command = [sys.executable, "-W", "ignore", "-m", module, name, str(first), str(seconds), folder]
        try:
            done = subprocess.run(command, capture_output=True, timeout=seconds + _HANG_SECONDS, check=False)
            failed, said = done.returncode != 0, done.stderr.decode(errors="replace")[-4000:]
            said += f"exit status {done.returncode}"
        except subprocess.TimeoutExpired:
            failed, said = True, f"still busy after {_HANG_SECONDS:g} s more than it was given"
        ran = int(count.read_text()) if count.exists() else 0
        if failed:
            data = current.read_bytes() if current.exists() else b""
            _SAVED.mkdir(parents=True, exist_ok=True)
            saved = _SAVED / f"{name.replace(' ', '-')}-{hashlib.sha256(data).hexdigest()[:12]}"
            saved.write_bytes(data)
            print(f"{name}: {saved} ({len(data)} bytes)\n{said}", flush=True)
    return max(ran, 1), failed


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main(sys.argv[1:]))
