"""Where a page of the gallery begins: a place within the results files of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloudseg_ops.contracts.errors import GalleryError

# Generations and offsets have at most 19 digits: more would be no number of Cloud Storage's.
_CURSOR = re.compile(r"([0-9]{1,5})-([0-9]{1,15})-([0-9]{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A line of a results file.

    Attributes:
        chunk: Index of the chunk.
        offset: Bytes of its results file before the line.
        generation: Version of that file, for its lines move when a retry rewrites it; 0: any.
    """

    chunk: int = 0
    offset: int = 0
    generation: int = 0

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what `str` wrote; nothing is the beginning.

        Raises:
            GalleryError: It is no such place.
        """
        if not text:
            return cls()
        found = _CURSOR.fullmatch(text)
        if not found:
            raise GalleryError(f"{text[:40]!r} is not a position in a gallery; begin at its first page")
        return cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.chunk}-{self.offset}-{self.generation}"
