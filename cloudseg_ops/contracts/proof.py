"""Pure rules that decide from the buckets' contents whether an input may be deleted, and where an input version is.

An input version is proven if OUTPUT has a mask of exactly this version by exactly the run's model, or a quarantine copy
of exactly this version. Nothing else is proof, neither a results file nor an exit code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from cloudseg_ops.contracts.objects import InputObject, ObjectInfo
from cloudseg_ops.contracts.provenance import MaskProvenance, Source, quarantine_reason

AfterSuccess = Literal["delete", "archive", "keep"]
"""What clean-up does with an input that has a mask."""


class Proof(StrEnum):
    """The proof that OUTPUT has for an input version."""

    MASKED = "masked"
    """A mask of exactly this version, by the run's model."""
    QUARANTINED = "quarantined"
    """A quarantine copy of exactly this version."""
    NONE = "none"
    """Neither of them: the input must not be deleted."""


class Place(StrEnum):
    """The place where an input version of a snapshot is."""

    INPUT = "input"
    """Still in INPUT."""
    MASKED = "masked"
    """Replaced by its mask in OUTPUT."""
    QUARANTINED = "quarantined"
    """Copied to `quarantine/` in OUTPUT, with the reason."""
    SUPERSEDED = "superseded"
    """Replaced by an upload of a newer version with the same name, which is counted in its own place."""
    LOST = "lost"
    """In none of the other places."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The objects in the buckets that belong to one input; None where there is no object.

    Attributes:
        current: The object in INPUT.
        mask: The object in OUTPUT with the mask's name.
        quarantined: The object in OUTPUT with the name of the quarantine copy.
    """

    current: ObjectInfo | None
    mask: ObjectInfo | None
    quarantined: ObjectInfo | None


def mask_provenance(found: ObjectInfo | None) -> MaskProvenance | None:
    """Return the provenance of a mask, or None if the object is absent, empty or not a mask made by cloudseg."""
    return MaskProvenance.from_metadata(found.metadata) if found and found.size else None


def quarantine_source(found: ObjectInfo | None) -> Source | None:
    """Return the input version of a quarantine copy, or None if the object is absent or not such a copy."""
    if found is None or quarantine_reason(found.metadata) is None:
        return None
    return Source.from_metadata(found.metadata)


def proof_of(version: InputObject, bucket: str, evidence: Evidence, model_digest: str | None) -> Proof:
    """Return the proof that OUTPUT has for an input version.

    Args:
        version: The input version.
        bucket: The input bucket.
        evidence: The objects that belong to the input; `current` is ignored.
        model_digest: Digest of the run's model; None: accept a mask by any model.
    """
    source = Source(bucket, version.name, version.generation, version.crc32c)
    provenance = mask_provenance(evidence.mask)
    if provenance and provenance.source.matches(source) and model_digest in (None, provenance.model_digest):
        return Proof.MASKED
    copy = evidence.quarantined
    copied = quarantine_source(copy)
    if copy and copied and copied.matches(source) and copy.size == version.size:
        return Proof.QUARANTINED
    return Proof.NONE


def place_of(version: InputObject, bucket: str, evidence: Evidence) -> Place:
    """Return the place where an input version is.

    Args:
        version: The input version.
        bucket: The input bucket.
        evidence: The objects that belong to the input. `current` must have been read before the other two, so that a
            version that moves between the reads is seen at least once.
    """
    if evidence.current and evidence.current.generation == version.generation:
        return Place.INPUT
    proof = proof_of(version, bucket, evidence, model_digest=None)
    if proof is not Proof.NONE:
        return Place(proof.value)
    if newest_generation(version.name, bucket, evidence) > version.generation:
        return Place.SUPERSEDED
    return Place.LOST


def newest_generation(name: str, bucket: str, evidence: Evidence) -> int:
    """Return the newest known generation of an input, or 0 if the buckets have no trace of it.

    The input itself counts, and so do the sources of its mask and of its quarantine copy.

    Args:
        name: The input's name.
        bucket: The input bucket.
        evidence: The objects that belong to the input.
    """
    provenance = mask_provenance(evidence.mask)
    sources = [provenance.source if provenance else None, quarantine_source(evidence.quarantined)]
    generations = [source.generation for source in sources if source and (source.bucket, source.name) == (bucket, name)]
    if evidence.current:
        generations.append(evidence.current.generation)
    return max(generations, default=0)


def count_places(places: Mapping[Place, int]) -> dict[str, int]:
    """Return the number of input versions in each place, including zeros, for JSON."""
    return {place.value: places.get(place, 0) for place in Place}
