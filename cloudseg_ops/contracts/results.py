"""Results files: one line for each image of a chunk, and a summary as custom metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from cloudseg_ops.contracts.errors import ManifestError
from cloudseg_ops.contracts.json_text import load_json
from cloudseg_ops.contracts.metadata import Decimals, MetadataRecord
from cloudseg_ops.contracts.objects import InputObject


class Outcome(StrEnum):
    """The outcome of one input version in a chunk."""

    DONE = "done"
    """A mask was made and written."""
    SKIPPED = "skipped"
    """OUTPUT already had its mask by the same model."""
    QUARANTINED = "quarantined"
    """It cannot be segmented, and was copied to quarantine with the reason."""
    VANISHED = "vanished"
    """It was removed from INPUT before it could be read."""
    CHANGED = "changed"
    """It was replaced by a newer version, which the next run takes."""
    UNREADABLE = "unreadable"
    """Cloud Storage refuses to return it, so it stays in INPUT; the reason says what to do."""


@dataclass(frozen=True, slots=True)
class Result:
    """A line of a results file: the outcome of one image.

    Attributes:
        source: The input version.
        outcome: Its outcome.
        mask: Name of its mask in OUTPUT, for `done` and `skipped`.
        cloud_fraction: Share of cloud pixels, 0–1, for `done` and `skipped`.
        reason: The reason, for every other outcome.
        seconds: Time from the start of the download to the end of the upload.
        range_used: Highest value as a share of white, 0–1, if the photograph has more than eight bits and uses less
            than an eighth of its range. The line has this key only then.
    """

    source: InputObject
    outcome: Outcome
    mask: str | None = None
    cloud_fraction: float | None = None
    reason: str | None = None
    seconds: float = 0.0
    range_used: float | None = None

    def to_line(self) -> str:
        """Return the JSON line, without a line end."""
        fields = {
            "name": self.source.name,
            "generation": self.source.generation,
            "size": self.source.size,
            "crc32c": self.source.crc32c,
            "outcome": self.outcome,
            "mask": self.mask,
            "cloud_fraction": self.cloud_fraction,
            "reason": self.reason,
            "seconds": round(self.seconds, 4),
        }
        if self.range_used is not None:
            fields["range_used"] = self.range_used
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> Result:
        """Parse a JSON line.

        Raises:
            ManifestError: The line is not a result.
        """
        source = InputObject.from_line(line)
        try:
            fields = load_json(line)
            return cls(
                source,
                Outcome(fields["outcome"]),
                fields.get("mask"),
                fields.get("cloud_fraction"),
                fields.get("reason"),
                float(fields.get("seconds") or 0.0),
                None if fields.get("range_used") is None else float(fields["range_used"]),
            )
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise ManifestError(
                f"this line is not a result ({type(error).__name__}: {error}): {line[:200]!r}; "
                "clear the `segment` task of its chunk, which rewrites the file"
            ) from error


@dataclass(frozen=True, slots=True)
class ChunkSummary(MetadataRecord):
    """The summary of a chunk, stored as custom metadata of its results file.

    Attributes:
        started: When the engine began, in seconds since the epoch.
        finished: When the engine wrote the file, in seconds since the epoch.
        images: Images in the chunk.
        complete: Whether every image is accounted for.
        asked: When the task asked for the engine, in seconds since the epoch; None: unknown.
    """

    started: Annotated[float, Decimals(3)]
    finished: Annotated[float, Decimals(3)]
    images: int
    complete: bool
    asked: Annotated[float, Decimals(3)] | None = None

    @property
    def start_seconds(self) -> float | None:
        """Seconds from the task's request to the engine's start, for a node and a pod; None: unknown."""
        return None if self.asked is None else max(0.0, self.started - self.asked)
