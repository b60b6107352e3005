"""One process of fuzzing: `python -m tests.fuzz.loop TARGET FIRST SECONDS FOLDER`."""

import contextlib
import faulthandler
import logging
import resource
import sys
import time
from pathlib import Path

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, Target

CPU_SECONDS = 5.0
"""An input of at most 200 kB, with at most a million pixels, that takes longer has found something."""
MEMORY_KILOBYTES = 200_000
"""The same for the growth of the process; a million pixels need 20 MB."""
HANG_SECONDS = 40.0
"""A process that is still busy this long after its time prints where, and ends."""


def check(target: Target, data: bytes) -> None:
    """Run an input.

    Raises:
        Exception: Any that the target does not name; or `AssertionError` if it took too long or too much memory.
    """
    began, before = time.process_time(), _peak()
    with contextlib.suppress(*target.raises):
        target.run(data)
    assert time.process_time() - began < CPU_SECONDS, f"{time.process_time() - began:.1f} s"
    assert _peak() - before < MEMORY_KILOBYTES, f"{_peak() - before} kB"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(name: str, first: int, seconds: float, folder: Path) -> None:
    """Run the inputs from a number on; the current input and their count are in the folder."""
    logging.disable()
    faulthandler.dump_traceback_later(seconds + HANG_SECONDS, exit=True)
    target, current, count = TARGETS[name], folder / "input", folder / "count"
    seeds = target.seeds()
    ends, number = time.monotonic() + seconds, first
    try:
        while time.monotonic() < ends:
            data = mutated(seeds, number)
            current.write_bytes(data)
            number += 1
            check(target, data)
    finally:
        count.write_text(str(number - first))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
