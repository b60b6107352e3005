"""What a delivered copy of cloudseg calls itself: the DAG bears it as a tag, so that Airflow tells which one it has."""

from __future__ import annotations

from cloudseg_ops import __version__
from cloudseg_ops.contracts.commit import COMMIT

_DIGITS = 12


def release_name(version: str, commit: str) -> str:
    """Name a release: `0.1.0-1a2b3c4d5e6f`, and `0.1.0` where no commit is known."""
    return f"{version}-{commit[:_DIGITS]}" if commit else version


RELEASE = release_name(__version__, COMMIT)
"""The name of this copy."""
