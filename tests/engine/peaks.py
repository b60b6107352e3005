"""How much memory a piece of code takes at its worst, measured in its own process."""

import subprocess
import sys

_MEASURE = """
from pathlib import Path

def _kilobytes(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))

def measured(work):
    before = _kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
    result = work()
    print((_kilobytes("VmHWM") - before) * 1024)
    return result
"""


def peak_bytes(code: str) -> int:
    """Run Python code that calls `measured(work)`, once; tell by how many bytes the process was larger at its largest.

    `VmHWM` is of this process alone, where `getrusage` begins with what its parent had.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE + code], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
