"""What an engine says of its chunk while it works: a tiny object in STAGING whose custom metadata has the figures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from cloudseg_ops.contracts.metadata import Decimals, MetadataRecord


@dataclass(frozen=True, slots=True)
class ChunkStatus(MetadataRecord):
    """What an engine says of its chunk, in the custom metadata of one object.

    Attributes:
        done: Images accounted for, those of earlier tries included.
        total: Images of the chunk.
        images_per_second: Lately; of the whole try once it has ended. Images proven before do not count.
        ended: Whether the engine works no more.
    """

    done: int
    total: int
    images_per_second: Annotated[float, Decimals(3)]
    ended: bool


_LINE = re.compile(r"\b(progress|summary): (\d+) of (\d+) images, (\d+\.\d+) images/s")


def parse_progress_line(line: str) -> ChunkStatus | None:
    """Read the same from a line of the engine's log, as text or JSON; None when it says nothing of it."""
    found = _LINE.search(line)
    if found is None:
        return None
    return ChunkStatus(int(found[2]), int(found[3]), float(found[4]), ended=found[1] == "summary")
