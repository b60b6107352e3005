"""What an engine says of its chunk while it works: a tiny object in STAGING whose custom metadata has the figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChunkStatus:
    """What an engine says of its chunk, in the custom metadata of one object.

    Attributes:
        done: Images accounted for, those of earlier tries included.
        total: Images of the chunk.
        images_per_second: Lately; of the whole try once it has ended. Images proven before do not count.
        ended: Whether the engine works no more.
    """

    done: int
    total: int
    images_per_second: float
    ended: bool

    def to_metadata(self) -> dict[str, str]:
        """As custom metadata."""
        return {
            "cloudseg-done": str(self.done),
            "cloudseg-total": str(self.total),
            "cloudseg-images-per-second": f"{self.images_per_second:.3f}",
            "cloudseg-ended": "true" if self.ended else "false",
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> ChunkStatus | None:
        """Read it back; None when the object is no such mark."""
        try:
            return cls(
                int(metadata["cloudseg-done"]),
                int(metadata["cloudseg-total"]),
                float(metadata["cloudseg-images-per-second"]),
                metadata["cloudseg-ended"] == "true",
            )
        except (KeyError, ValueError):
            return None


_LINE = re.compile(r"\b(progress|summary): (\d+) of (\d+) images, (\d+\.\d+) images/s")


def parse_progress_line(line: str) -> ChunkStatus | None:
    """Read the same from a line of the engine's log, as text or JSON; None when it says nothing of it."""
    found = _LINE.search(line)
    if found is None:
        return None
    return ChunkStatus(int(found[2]), int(found[3]), float(found[4]), ended=found[1] == "summary")
