"""The provenance of masks, quarantine copies and archived inputs: custom metadata that identifies their source.

This metadata, read back from the bucket, is the only proof that an input has been processed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from cloudseg_ops.contracts.metadata import PREFIX, Decimals, MetadataRecord

MASK_SUFFIX = ".mask.png"
"""Suffix that is appended to an input's name for its mask."""
QUARANTINE_FOLDER = "quarantine/"
"""Folder in OUTPUT for copies of inputs that cannot be segmented."""
ARCHIVE_FOLDER = "archive/"
"""Folder in OUTPUT for inputs that are archived after success."""
REPORTS_FOLDER = "reports/"
"""Folder in OUTPUT for the plans and reports of runs."""
# Cloud Storage allows 8 KiB of custom metadata per object (cloud.google.com/storage/quotas); reasons stay well below.
_MAX_REASON = 1000


def mask_name(name: str) -> str:
    """Return the name in OUTPUT of an input's mask."""
    return name + MASK_SUFFIX


def quarantine_name(name: str) -> str:
    """Return the name in OUTPUT of an input's quarantine copy."""
    return QUARANTINE_FOLDER + name


def archive_name(name: str) -> str:
    """Return the name in OUTPUT of an input that is archived after success (`after_success=archive`)."""
    return ARCHIVE_FOLDER + name


@dataclass(frozen=True, slots=True)
class Source(MetadataRecord):
    """The input version that an object in OUTPUT was made from.

    Attributes:
        bucket: The input bucket.
        name: The input's name.
        generation: The input's version number.
        crc32c: CRC32C of the input's data, base64. Listings of a bucket with a default Cloud KMS key have none; the
            checksum of a mask's source is then that of the download.
    """

    key_prefix: ClassVar[str] = "source-"

    bucket: str
    name: str
    generation: int
    crc32c: str

    def matches(self, listed: Source) -> bool:
        """Return whether this is the listed input version; without a checksum, its generation identifies it."""
        identity = (self.bucket, self.name, self.generation)
        return identity == (listed.bucket, listed.name, listed.generation) and listed.crc32c in ("", self.crc32c)


@dataclass(frozen=True, slots=True)
class MaskProvenance(MetadataRecord):
    """The provenance of a mask: source, model and run.

    Attributes:
        source: The input version.
        model_revision: What was asked for: an artifact, a version, a stage, a tag, a branch or a commit.
        model_commit: The commit that the revision pointed to, 40 hex digits.
        model_md5: MD5 of the weights file, hex.
        model_digest: MD5 over weights and parameters, hex. Two revisions with the same weights but, for example,
            different normalization are different models.
        cloud_fraction: Share of cloud pixels, 0–1.
        run_id: The Airflow run.
        version: The cloudseg version that made the mask.
        range_used: Highest value of the photograph as a share of white, 0–1, if it has more than eight bits and uses
            less than an eighth of its range; otherwise None.
    """

    source: Source
    model_revision: str
    model_commit: str
    model_md5: str
    model_digest: str
    cloud_fraction: Annotated[float, Decimals(6)]
    run_id: str
    version: str
    range_used: Annotated[float, Decimals(6)] | None = None


def quarantine_metadata(source: Source, reason: str, run_id: str) -> dict[str, str]:
    """Return the custom metadata of a quarantine copy: its source, the reason and the run.

    Args:
        source: The input version.
        reason: Why it cannot be segmented; cut to 1,000 characters.
        run_id: The Airflow run.
    """
    return {
        **source.to_metadata(),
        f"{PREFIX}reason": reason[:_MAX_REASON],
        f"{PREFIX}run-id": run_id,
    }


def quarantine_reason(metadata: Mapping[str, str]) -> str | None:
    """Return the reason why an object was quarantined, or None if it is not a quarantine copy."""
    return metadata.get(f"{PREFIX}reason")
