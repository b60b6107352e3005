"""Runs `python -m cloudseg_ops.engine.check` for `cloudseg model check`."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloudseg_ops.contracts.engine_failure import PERMANENT_EXIT, permanent_failure
from cloudseg_ops.contracts.errors import ChunkUnfinishedError, CloudsegError, EngineError
from cloudseg_ops.contracts.json_text import load_json

_ENGINE = "cloudseg_ops.engine.check"
_LAST_LINES = 50


def run_engine(folders: Mapping[str, Path], facts: Path, arguments: Sequence[str], *, verbose: bool) -> None:
    """Segment a chunk whose buckets are folders, in a process.

    Args:
        folders: The folder of each bucket.
        facts: The file to which the engine's figures are written, even if it fails.
        arguments: The engine's options.
        verbose: Print the engine's whole log.

    Raises:
        CloudsegError: The engine failed; the class is that of its error.
    """
    buckets = [word for name, folder in folders.items() for word in ("--bucket", f"{name}={folder}")]
    command = [sys.executable, "-m", _ENGINE, "--facts", str(facts), *buckets, *arguments]
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:  # noqa: S603  this Python
        for line in engine.stdout or ():
            lines.append(line)
            _show(line, verbose=verbose)
        code = engine.wait()
    if code:
        raise _engine_error(code, lines)


def _show(line: str, *, verbose: bool) -> None:
    """Print a line of the engine's log: all of them, or only warnings except those that the outcome repeats."""
    try:
        record = load_json(line)
        severity, message = str(record["severity"]), str(record["message"])
    except (ValueError, KeyError, TypeError):
        severity, message = "INFO", line.rstrip()
    if verbose or (severity == "WARNING" and not message.startswith("quarantine ")):
        print(f"engine     {severity.lower()}: {message}", file=sys.stderr)


def _engine_error(code: int, lines: Sequence[str]) -> CloudsegError:
    """Return the error in the last lines of the engine's log."""
    found = permanent_failure(lines, "a run would end with this error")
    if found is None:
        last = "".join(lines)[-1000:].strip()
        what = (
            f"was ended by signal {-code}, as when memory is exhausted" if code < 0 else f"ended with exit code {code}"
        )
        return EngineError(f"the engine {what}; the end of its log: {last or 'empty'}")
    return found if code == PERMANENT_EXIT else ChunkUnfinishedError(str(found))
