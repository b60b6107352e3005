"""Writes results as JSON lines, flushed, so that an interrupted part keeps what it has measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Records:
    """Appends to a results file, and repeats each line on standard output, which is the log.

    Args:
        path: Path of the results file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, kind: str, **fields: Any) -> None:
        """Append a result."""
        line = json.dumps({"kind": kind, **fields}, ensure_ascii=False)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
        print(line, flush=True)

    def skip(self, what: str, why: str) -> None:
        """Record that something was not measured, and why."""
        self.write("skipped", what=what, why=why)


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read a results file; a truncated last line is skipped, and a missing file counts as empty."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def one_line(error: BaseException) -> str:
    """Format an error for a result."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
