"""How the engine says that a retry cannot fix its chunk: an exit code, and the error in the last line of its log."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cloudseg_ops.contracts import errors
from cloudseg_ops.contracts.errors import ChunkFailedError
from cloudseg_ops.contracts.json_text import load_json

PERMANENT_EXIT = 4
"""Exit code of an engine whose error would be the same in every retry. Older DAGs treat it as 1 and retry."""

PERMANENT: frozenset[type[errors.CloudsegError]] = frozenset(
    {
        errors.CorruptModelError,
        errors.ModelLoadError,
        errors.WeightsFileError,
        errors.UnsafeProgramError,
        errors.NonFiniteWeightsError,
        errors.NonFiniteLogitsError,
        errors.ObjectHeldError,
        errors.ObjectRetainedError,
        errors.DecoderMissingError,
    }
)
"""The errors with which the engine ends so; subclasses do not count unless they are listed."""

_MAX_BYTES = 1500
"""A pod's termination message has the last 2,048 bytes of its log."""
_LINE = re.compile(r"(?:^|\s)(?P<name>[A-Z][A-Za-z]*Error): (?P<text>.+)$")


def is_permanent(error: BaseException) -> bool:
    """Return whether a retry of the engine would end with the same error."""
    return any(type(error) is kind for kind in PERMANENT)


def failure_line(error: BaseException) -> str:
    """Return an error as the last line of the engine's log, short enough for a pod's termination message."""
    text = " ".join(str(error).split())
    encoded = text.encode()
    if len(encoded) > _MAX_BYTES:
        half = _MAX_BYTES // 2
        text = f"{encoded[:half].decode(errors='ignore')} […] {encoded[-half:].decode(errors='ignore')}"
    return f"{type(error).__name__}: {text}"


def permanent_failure(lines: Iterable[str], where: str) -> errors.CloudsegError | None:
    """Return the error of an engine that ended with `PERMANENT_EXIT`; None if its log does not end with one.

    Args:
        lines: The last lines of its log, as text or JSON.
        where: What ran the engine, such as the pod; put before the engine's message.

    Returns:
        An error of the engine's class if that is one of `PERMANENT`; a `ChunkFailedError` if the class is another, as
        from a newer engine.
    """
    for line in reversed(list(lines)):
        if found := _LINE.search(_message(line.strip())):
            kind = getattr(errors, found["name"], None)
            if kind in PERMANENT:
                failure: errors.CloudsegError = kind(f"{where}: {found['text']}")
                return failure
            return ChunkFailedError(f"{where}: {found['name']}: {found['text']}")
    return None


def _message(line: str) -> str:
    try:
        return str(load_json(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line
