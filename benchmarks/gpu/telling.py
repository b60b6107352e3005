"""A plugin of pytest: tells a failure and a slow test at once, for a run that may be cut before its summary."""

from __future__ import annotations

import pytest

_SLOW_SECONDS = 3.0


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print what a run that is cut would not come to."""
    if report.duration >= _SLOW_SECONDS:
        print(f"\n{report.nodeid}, {report.when}: {report.duration:.1f} s", flush=True)
    if report.failed:
        print(f"\n{report.nodeid} failed:\n{report.longreprtext}", flush=True)
