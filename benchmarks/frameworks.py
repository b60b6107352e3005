"""Whether Beam and Ray are there, in which versions; they live in their own environment."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

MODULES = {"d": ("beam", "apache_beam", "apache-beam"), "e": ("ray_data", "ray.data", "ray")}
"""By contender: module here, module to import, distribution."""


@dataclass(frozen=True, slots=True)
class Framework:
    """What was found.

    Attributes:
        version: Its version; empty where it is missing.
        missing: Why it cannot be measured; None when it can.
    """

    version: str
    missing: str | None


def look(contender: str, python: Path) -> Framework:
    """Look whether a framework can be imported by that Python."""
    _, module, distribution = MODULES[contender]
    if not python.exists():
        return Framework("", f"not installed: there is no {python}; `make bench` makes it where it can")
    # Both at import, for what is installed may still not load here.
    program = f"import importlib.metadata as m, {module}, torch; print(m.version({distribution!r}))"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        return Framework("", f"not installed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return Framework(done.stdout.split()[-1], None)
