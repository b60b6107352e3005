"""Measures sensing, planning, proving and deleting a million objects, each phase in its own process.

    python -m benchmarks.scale --objects 1000000

The emulator runs in its own process. It is filled through its store, not over HTTP, because a million uploads would
take longer than the phases. Each phase calls the functions that the DAG's task calls, on the objects that earlier
phases left. A peak is the highest resident memory of the phase's process, with interpreter and google-cloud-storage.
The emulator counts requests; a batch counts as one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.scale_phases import PACED_RUN, PHASES, paced_seconds
from cloudseg_ops.storage import Pace, Pacer, Store
from tests.support.seeding import INPUT

_UNPACED = 1e9
# Time limits for a request to the emulator and for a phase.
_START_SECONDS = 120
_PHASE_SECONDS = 1800


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--paced", type=int, default=20_000, help="objects deleted at the quota's own pace")
    parser.add_argument("--latency", type=float, default=0.0, help="delay of each request in seconds")
    parser.add_argument("--phases", default="sense,plan,prove,delete,paced", help="in this order; audit is another one")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--phase", choices=sorted(PHASES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        print(json.dumps(run_phase(options.phase)))
        return
    names = options.phases.split(",")
    if unknown := set(names) - PHASES.keys():
        parser.error(f"no phases: {', '.join(sorted(unknown))}; there are {', '.join(PHASES)}")
    rows = run(names, options.objects, options.paced, options.latency)
    print(json.dumps(rows) if options.json else table(rows))


def run(names: list[str], objects: int, paced: int, latency: float = 0.0) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="cloudseg-scale-") as directory:
        for name, number in (("million", objects), (PACED_RUN, paced)):
            began = time.monotonic()
            subprocess.run(
                [sys.executable, "-m", "tests.support.seeding", directory, f"{name}/", str(number)],
                check=True,
                timeout=_PHASE_SECONDS,
            )
            print(f"made {number} objects and their masks in {time.monotonic() - began:.0f} s", file=sys.stderr)
        with _emulator(directory, latency) as (url, pid):
            return [_run_phase_process(name, url, pid, paced if name == PACED_RUN else objects) for name in names]


def _run_phase_process(name: str, url: str, emulator: int, objects: int) -> dict[str, Any]:
    before, spent = _requests(url), _cpu_seconds(emulator)
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.scale", "--phase", name],
        env=os.environ | {"STORAGE_EMULATOR_HOST": url},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=_PHASE_SECONDS,
    )
    row: dict[str, Any] = {"phase": name, "objects": objects, **json.loads(process.stdout)}
    calls = {call: number - before.get(call, 0) for call, number in _requests(url).items() if "emulator" not in call}
    # The emulator counts a batch as well as the deletions in it.
    requests = sum(calls.values()) - (calls.get("objects.delete", 0) if calls.get("batch") else 0)
    row |= {
        "emulator_cpu_seconds": round(_cpu_seconds(emulator) - spent, 1),
        "requests": requests,
        "requests_per_object": round(requests / objects, 5),
        "calls": {call: number for call, number in calls.items() if number},
    }
    print(f"{name}: {row['seconds']} s", file=sys.stderr)
    return row


@contextmanager
def _emulator(directory: str, latency: float) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-W", "ignore", "-m", "gcs_emulator"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--directory", directory, "--latency", str(latency)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        yield process.stdout.readline().removeprefix("listening on ").strip(), process.pid
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


def _requests(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/_emulator/requests", timeout=_START_SECONDS) as response:
        found: dict[str, int] = json.load(response)
    return found


def _cpu_seconds(pid: int) -> float:
    import psutil

    return float(sum(psutil.Process(pid).cpu_times()[:2]))


def run_phase(phase: str) -> dict[str, Any]:
    """Run one phase in this process."""
    store = Store.open(pacer=lambda: Pacer(Pace(first=_UNPACED)))
    # The first request opens the connection, which is not part of the phase.
    store.create_bucket(INPUT)
    baseline = peak_megabytes()
    prepare, work = PHASES[phase]
    prepared = prepare(store)
    began, spent = time.monotonic(), time.process_time()
    result = work(store, prepared)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(time.process_time() - spent, 1),
        "peak_rss_mb": round(peak_megabytes(), 1),
        "rss_mb_before": round(baseline, 1),
        "told": result,
    }


def peak_megabytes() -> float:
    """Highest resident memory of this process, excluding its parent's memory, in MB (10⁶ bytes)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit("cannot read the peak resident memory of a process from /proc: run this benchmark on Linux")


def table(rows: list[dict[str, Any]]) -> str:
    head = f"{'phase':<8}{'objects':>9}{'s':>8}{'objects/s':>11}{'CPU s':>8}{'emulator CPU s':>16}"
    head += f"{'peak RSS MB':>13}{'requests':>10}{'per object':>12}  "
    lines = [head]
    for row in rows:
        rate = row["objects"] / max(row["seconds"], 0.1)
        lines.append(
            f"{row['phase']:<8}{row['objects']:>9}{row['seconds']:>8}{rate:>11.0f}{row['cpu_seconds']:>8}"
            f"{row['emulator_cpu_seconds']:>16}{row['peak_rss_mb']:>13}{row['requests']:>10}"
            f"{row['requests_per_object']:>12}  {row['told']}"
        )
    lines.append("")
    lines.append("delete: unpaced. paced: the DAG's pace, 1,000 a second at first, doubling within 20 minutes;")
    lines.append(f"at that pace a million takes {paced_seconds(1_000_000) / 60:.1f} minutes.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
