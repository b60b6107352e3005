"""Detects whether Beam and Ray are installed, and their versions; they have a separate environment."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

MODULES = {"d": ("beam", "apache_beam", "apache-beam"), "e": ("ray_data", "ray.data", "ray")}
"""By contender: our module, the framework's module, its distribution."""


@dataclass(frozen=True, slots=True)
class Framework:
    """The result of the detection.

    Attributes:
        version: The framework's version; empty if it is missing.
        missing: Why it cannot be measured; None if it can.
    """

    version: str
    missing: str | None


def detect(contender: str, python: Path) -> Framework:
    """Check whether a Python can import a framework."""
    _, module, distribution = MODULES[contender]
    if not python.exists():
        return Framework("", f"not installed: there is no {python}; `make bench` creates it")
    # Import both, because an installed package may still fail to load.
    program = f"import importlib.metadata as m, {module}, torch; print(m.version({distribution!r}))"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        return Framework("", f"not installed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return Framework(done.stdout.split()[-1], None)
