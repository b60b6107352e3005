"""A pytest plugin that reports failures and slow tests immediately, for runs that may end before the summary."""

from __future__ import annotations

import pytest

_SLOW_SECONDS = 3.0


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print failures and slow tests as they occur."""
    if report.duration >= _SLOW_SECONDS:
        print(f"\n{report.nodeid}, {report.when}: {report.duration:.1f} s", flush=True)
    if report.failed:
        print(f"\n{report.nodeid} failed:\n{report.longreprtext}", flush=True)
