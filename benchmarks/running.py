"""Helpers to run a contender's process: its environment, its scratch folder, and its error."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Measured

_ROOT = Path(__file__).parent.parent


class ContenderError(Exception):
    """A contender's process failed, or left work undone; the table shows the message."""


def require_success(result: Measured) -> Measured:
    """Return a result if its process succeeded.

    Raises:
        ContenderError: Its exit code is not 0; the end of its output goes to standard error.
    """
    if result.code:
        print(result.output, file=sys.stderr)
        last = (result.output.strip().splitlines() or ["it printed nothing"])[-1]
        raise ContenderError(f"failed with code {result.code}: {last[:120]}")
    return result


def contender_environment() -> dict[str, str]:
    """Return the additional environment variables of a contender: PYTHONPATH with this package."""
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{_ROOT}{os.pathsep}{before}" if before else str(_ROOT)}


@contextmanager
def scratch_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="cloudseg-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
