"""What every mask, quarantined and archived object says of its origin, in its custom metadata.

This metadata, read back from the bucket, is the only proof that an input has been dealt with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from cloudseg_ops.contracts.metadata import PREFIX, Decimals, MetadataRecord

MASK_SUFFIX = ".mask.png"
"""What a mask's name adds to its input's."""
QUARANTINE_FOLDER = "quarantine/"
"""Folder in OUTPUT of inputs that cannot be segmented."""
ARCHIVE_FOLDER = "archive/"
"""Folder in OUTPUT of inputs kept after success."""
REPORTS_FOLDER = "reports/"
"""Folder in OUTPUT of the runs' plans and reports."""
# Cloud Storage limits custom metadata to 8 KiB an object (cloud.google.com/storage/quotas); a reason is cut well below.
_MAX_REASON = 1000


def mask_name(name: str) -> str:
    """Name in OUTPUT of the mask of an input."""
    return name + MASK_SUFFIX


def quarantine_name(name: str) -> str:
    """Name in OUTPUT of the copy of an input that cannot be segmented."""
    return QUARANTINE_FOLDER + name


def archive_name(name: str) -> str:
    """Name in OUTPUT of the copy of an input kept after success (`after_success=archive`)."""
    return ARCHIVE_FOLDER + name


@dataclass(frozen=True, slots=True)
class Source(MetadataRecord):
    """The input version that an object in OUTPUT stands for.

    Attributes:
        bucket: The input bucket.
        name: The input's name.
        generation: The input's version number.
        crc32c: CRC32C of the input's bytes, base64.
    """

    key_prefix: ClassVar[str] = "source-"

    bucket: str
    name: str
    generation: int
    crc32c: str


@dataclass(frozen=True, slots=True)
class MaskProvenance(MetadataRecord):
    """All that a mask says of its origin.

    Attributes:
        source: The input version.
        model_revision: The revision as asked for: a tag, a branch or a commit.
        model_commit: The commit it meant, 40 hex digits.
        model_md5: MD5 of the weights file, hex.
        model_digest: MD5 over weights and parameters, hex: two revisions that share weights but not
            normalization, say, are different models.
        cloud_fraction: Share of cloud pixels, 0–1.
        run_id: The Airflow run.
        version: The cloudseg version that made the mask.
    """

    source: Source
    model_revision: str
    model_commit: str
    model_md5: str
    model_digest: str
    cloud_fraction: Annotated[float, Decimals(6)]
    run_id: str
    version: str


def quarantine_metadata(source: Source, reason: str, run_id: str) -> dict[str, str]:
    """Custom metadata of a quarantined copy: its source, why it is there and which run put it there."""
    return {
        **source.to_metadata(),
        f"{PREFIX}reason": reason[:_MAX_REASON],
        f"{PREFIX}run-id": run_id,
    }


def quarantine_reason(metadata: Mapping[str, str]) -> str | None:
    """Why an object was quarantined; None if it is not a quarantined copy."""
    return metadata.get(f"{PREFIX}reason")
