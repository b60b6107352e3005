"""What every mask, quarantined and archived object says of its origin, in its custom metadata.

This metadata, read back from the bucket, is the only proof that an input has been dealt with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MASK_SUFFIX = ".mask.png"
QUARANTINE_FOLDER = "quarantine/"
ARCHIVE_FOLDER = "archive/"
REPORTS_FOLDER = "reports/"
_PREFIX = "cloudseg-"
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
class Source:
    """The input version that an object in OUTPUT stands for.

    Attributes:
        bucket: The input bucket.
        name: The input's name.
        generation: The input's version number.
        crc32c: CRC32C of the input's bytes, base64.
    """

    bucket: str
    name: str
    generation: int
    crc32c: str

    def to_metadata(self) -> dict[str, str]:
        """As custom metadata."""
        return {
            f"{_PREFIX}source-bucket": self.bucket,
            f"{_PREFIX}source-name": self.name,
            f"{_PREFIX}source-generation": str(self.generation),
            f"{_PREFIX}source-crc32c": self.crc32c,
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Source | None:
        """Read it back; None when the object was not written by cloudseg."""
        try:
            return cls(
                metadata[f"{_PREFIX}source-bucket"],
                metadata[f"{_PREFIX}source-name"],
                int(metadata[f"{_PREFIX}source-generation"]),
                metadata[f"{_PREFIX}source-crc32c"],
            )
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class MaskProvenance:
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
    cloud_fraction: float
    run_id: str
    version: str

    def to_metadata(self) -> dict[str, str]:
        """As custom metadata."""
        return {
            **self.source.to_metadata(),
            f"{_PREFIX}model-revision": self.model_revision,
            f"{_PREFIX}model-commit": self.model_commit,
            f"{_PREFIX}model-md5": self.model_md5,
            f"{_PREFIX}model-digest": self.model_digest,
            f"{_PREFIX}cloud-fraction": f"{self.cloud_fraction:.6f}",
            f"{_PREFIX}run-id": self.run_id,
            f"{_PREFIX}version": self.version,
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> MaskProvenance | None:
        """Read it back; None when the object is not a mask of cloudseg."""
        source = Source.from_metadata(metadata)
        if source is None:
            return None
        try:
            return cls(
                source,
                metadata[f"{_PREFIX}model-revision"],
                metadata[f"{_PREFIX}model-commit"],
                metadata[f"{_PREFIX}model-md5"],
                metadata[f"{_PREFIX}model-digest"],
                float(metadata[f"{_PREFIX}cloud-fraction"]),
                metadata[f"{_PREFIX}run-id"],
                metadata[f"{_PREFIX}version"],
            )
        except (KeyError, ValueError):
            return None


def quarantine_metadata(source: Source, reason: str, run_id: str) -> dict[str, str]:
    """Custom metadata of a quarantined copy: its source, why it is there and which run put it there."""
    return {
        **source.to_metadata(),
        f"{_PREFIX}reason": reason[:_MAX_REASON],
        f"{_PREFIX}run-id": run_id,
    }


def quarantine_reason(metadata: Mapping[str, str]) -> str | None:
    """Why an object was quarantined; None when it is not a quarantined copy."""
    return metadata.get(f"{_PREFIX}reason")
