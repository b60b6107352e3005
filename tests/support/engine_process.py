"""The engine as a process: waiting for its masks and for its end."""

from __future__ import annotations

import subprocess
import time

from cloudseg_ops.contracts.uris import GcsUri
from tests.support.lab import Lab


def masks(lab: Lab) -> int:
    return sum(1 for _ in lab.store.list_objects(GcsUri(lab.buckets.output)))


def wait_for_masks(lab: Lab, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 90
    while not masks(lab):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)


def ended(process: subprocess.Popen[str], within: float) -> tuple[int, list[str]]:
    output, errors = process.communicate(timeout=within)
    assert errors == ""
    return process.returncode, output.splitlines()
