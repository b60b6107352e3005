"""`python -m tests.faults --seconds 600 --seed 1`: injects faults, kills and races, and judges by an auditor apart."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.schedule import KINDS
from tests.faults.suite import Totals, run_worlds

BAD = ("lost", "stuck", "false alarms")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="no world begins after this time (600)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.1, help="share of requests that get a fault, 0–1 (0.1)")
    parser.add_argument("--jobs", type=int, default=4, help="worlds at once (4)")
    parser.add_argument(
        "--endpoint", help="a running storage server, such as http://127.0.0.1:9000 (default: an emulator)"
    )
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cloudseg-faults-") as folder:
        totals = run_worlds(
            Path(folder),
            options.seed,
            options.rate,
            seconds=options.seconds,
            jobs=options.jobs,
            endpoint=options.endpoint,
        )
    print(table(totals, time.monotonic() - began))
    for finding in totals.findings:
        print(f"FINDING {finding}")
    return 1 if any(totals.events[kind] for kind in BAD) else 0


def table(totals: Totals, seconds: float) -> str:
    """Render what was injected and found as a Markdown table."""
    lines = [f"| {seconds:.0f} s, {totals.requests:,} requests | number |", "|---|---:|"]
    lines += [f"| {kind} | {totals.faults[kind]:,} |" for kind in KINDS]
    lines.append(f"| **all faults** | {sum(totals.faults.values()):,} |")
    rest = sorted(set(totals.events) - set(BAD))
    lines += [f"| {kind} | {totals.events[kind]:,} |" for kind in (*rest, *BAD)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
