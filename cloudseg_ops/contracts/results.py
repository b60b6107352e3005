"""What became of each image of a chunk: one line of a results file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from cloudseg_ops.contracts.errors import ManifestError
from cloudseg_ops.contracts.metadata import Decimals, MetadataRecord
from cloudseg_ops.contracts.objects import InputObject


class Outcome(StrEnum):
    """What became of one input version in a chunk."""

    DONE = "done"
    """A mask was made and written."""
    SKIPPED = "skipped"
    """Its mask by this very model was there already."""
    QUARANTINED = "quarantined"
    """It is not an image that can be segmented; a copy lies in quarantine with the reason."""
    VANISHED = "vanished"
    """It was gone from INPUT before it could be read."""
    CHANGED = "changed"
    """A newer version took its name; that one is for the next run."""


@dataclass(frozen=True, slots=True)
class Result:
    """A line of a results file.

    Attributes:
        source: The input version.
        outcome: What became of it.
        mask: Name of its mask in OUTPUT, for `done` and `skipped`.
        cloud_fraction: Share of cloud pixels, 0–1, for `done` and `skipped`.
        reason: Why, for every other outcome.
        seconds: From the start of its download to the end of its upload.
    """

    source: InputObject
    outcome: Outcome
    mask: str | None = None
    cloud_fraction: float | None = None
    reason: str | None = None
    seconds: float = 0.0

    def to_line(self) -> str:
        """The JSON line, without a line end."""
        return json.dumps(
            {
                "name": self.source.name,
                "generation": self.source.generation,
                "size": self.source.size,
                "crc32c": self.source.crc32c,
                "outcome": self.outcome,
                "mask": self.mask,
                "cloud_fraction": self.cloud_fraction,
                "reason": self.reason,
                "seconds": round(self.seconds, 4),
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_line(cls, line: str) -> Result:
        """Read a JSON line.

        Raises:
            ManifestError: The line is not of this form.
        """
        source = InputObject.from_line(line)
        fields = json.loads(line)
        try:
            return cls(
                source,
                Outcome(fields["outcome"]),
                fields.get("mask"),
                fields.get("cloud_fraction"),
                fields.get("reason"),
                float(fields.get("seconds") or 0.0),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ManifestError(
                f"this line is not a result ({type(error).__name__}: {error}): {line[:200]!r}; "
                "clear the `segment` task of its chunk, which rewrites the file"
            ) from error


@dataclass(frozen=True, slots=True)
class ChunkSummary(MetadataRecord):
    """What a results file says of its chunk as a whole, in its custom metadata.

    Attributes:
        started: When the engine began, seconds since the epoch.
        finished: When it wrote this file, in the same format.
        images: Images of the chunk.
        complete: Whether each of them is accounted for.
        asked: When the task asked for the engine, seconds since the epoch; None: it did not say.
    """

    started: Annotated[float, Decimals(3)]
    finished: Annotated[float, Decimals(3)]
    images: int
    complete: bool
    asked: Annotated[float, Decimals(3)] | None = None

    @property
    def start_seconds(self) -> float | None:
        """From the task's request to the engine's beginning: what a node and a pod took; None when nobody knows."""
        return None if self.asked is None else max(0.0, self.started - self.asked)
