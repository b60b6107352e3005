"""A file cache with a time to live, for short-lived processes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_MAX_BYTES = 64 * 1024


def ttl_file_cache(path: Path, seconds: float, get: Callable[[], str]) -> str:
    """What `get` gave a process of this user within the last seconds; else what it gives now.

    Where the file cannot be read or written, it is fetched each time.

    Args:
        path: The file. It may lie where others can write: one that is not this user's own is not believed.
        seconds: How long a text is kept.
        get: Gets it.
    """
    kept = _read(path, seconds)
    if kept is not None:
        return kept
    text = get()
    with contextlib.suppress(OSError):
        _write(path, text)
    return text


def invalidate(path: Path) -> None:
    """Have the next process fetch it again."""
    with contextlib.suppress(OSError):
        path.unlink()


def _read(path: Path, seconds: float) -> str | None:
    try:
        with path.open(encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            age = time.time() - found.st_mtime
            if found.st_uid != os.getuid() or not 0 <= age < seconds or found.st_size > _MAX_BYTES:
                return None
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None


def _write(path: Path, text: str) -> None:
    # Under a name that nobody can have prepared, and in one step: others read meanwhile.
    handle, name = tempfile.mkstemp(prefix=f"{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
