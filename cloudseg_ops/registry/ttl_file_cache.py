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
    """Return the text in a cache file, or call `get` and cache its text if the file is too old or missing.

    If the file cannot be read or written, `get` is called each time.

    Args:
        path: The cache file. Other users may be able to write to its folder, so a file of another user is ignored.
        seconds: Time to live.
        get: Returns the text to cache.
    """
    cached = _read(path, seconds)
    if cached is not None:
        return cached
    text = get()
    with contextlib.suppress(OSError):
        _write(path, text)
    return text


def invalidate(path: Path) -> None:
    """Delete a cache file, so that the next process calls `get`."""
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
    # An unpredictable name, so that another user cannot prepare the file; then a rename, since others may be reading.
    handle, name = tempfile.mkstemp(prefix=f"{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
