"""The status that an engine publishes while it works: custom metadata of a small object in STAGING."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from cloudseg_ops.contracts.metadata import Decimals, MetadataRecord


@dataclass(frozen=True, slots=True)
class ChunkStatus(MetadataRecord):
    """The progress of an engine with its chunk, stored as an object's custom metadata.

    Attributes:
        done: Images accounted for, including those of earlier tries.
        total: Images in the chunk.
        images_per_second: Recent rate; the rate of the whole try once it has ended. Already processed images do not
            count.
        ended: Whether the engine has stopped working.
    """

    done: int
    total: int
    images_per_second: Annotated[float, Decimals(3)]
    ended: bool


_LINE = re.compile(r"\b(progress|summary): (\d{1,15}) of (\d{1,15}) images, (\d{1,15}\.\d{1,15}) images/s")


def parse_progress_line(line: str) -> ChunkStatus | None:
    """Return the status in a line of the engine's log (text or JSON), or None if the line has none."""
    found = _LINE.search(line)
    if found is None:
        return None
    return ChunkStatus(int(found[2]), int(found[3]), float(found[4]), ended=found[1] == "summary")
