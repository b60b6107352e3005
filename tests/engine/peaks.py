"""Measures the peak memory of a piece of code in a separate process."""

import subprocess
import sys

_MEASURE = """
from pathlib import Path

def _kilobytes(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))

def measured(work):
    before = _kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    result = work()
    print((_kilobytes("VmHWM") - before) * 1024)
    return result
"""


def peak_bytes(code: str) -> int:
    """Run Python code that calls `measured(work)` once, and return by how many bytes the process grew at its peak.

    `VmHWM` covers only the new process, whereas `getrusage` includes the peak of its parent.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE + code], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
