"""The images of a chunk on the local disk: counted before the first one is read, and streamed from there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from cloudseg_ops.contracts.objects import InputObject


class Worklist:
    """The input versions of a chunk in its order; one that is named twice counts once.

    Args:
        lines: The lines of the chunk's file.

    Raises:
        ManifestError: A line is not an input version.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.total = 0
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  closed by `__exit__`
        self._previous: tuple[bytes, int] = (b"", 0)
        # Chunks are in the order of a listing, where repetitions are adjacent: only other orders need keys.
        self._keys: set[tuple[bytes, int]] | None = None
        for line in lines:
            if line.strip():
                self._add(InputObject.from_line(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[tuple[int, InputObject]]:
        """Stream numbers from 0 and input versions; one reader at a time."""
        self._file.seek(0)
        yield from enumerate(map(InputObject.from_line, self._file))

    def _add(self, source: InputObject) -> None:
        key = (source.name.encode(), source.generation)
        if self._keys is None and key <= self._previous:
            self._keys = {(known.name.encode(), known.generation) for _, known in self}
            self._file.seek(0, 2)
        if self._keys is not None:
            if key in self._keys:
                return
            self._keys.add(key)
        self._previous = max(self._previous, key)
        self._file.write(source.to_line() + "\n")
        self.total += 1
