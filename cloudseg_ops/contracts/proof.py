"""What may be deleted, and where an input version is: pure rules over what the buckets themselves say.

An input is proven when OUTPUT holds a mask of exactly its version by exactly the run's model, or a quarantined copy
of exactly its version. Nothing else is proof: no results file, no exit code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cloudseg_ops.contracts.objects import InputObject, ObjectInfo
from cloudseg_ops.contracts.provenance import MaskProvenance, Source, quarantine_reason


class Proof(StrEnum):
    """What OUTPUT proves of an input version."""

    MASKED = "masked"
    """A mask of exactly this version, by the run's model."""
    QUARANTINED = "quarantined"
    """A quarantined copy of exactly this version."""
    NONE = "none"
    """Neither: the input must not be deleted."""


class Place(StrEnum):
    """Where an input version of a snapshot is."""

    INPUT = "input"
    """Still in INPUT."""
    MASKED = "masked"
    """Replaced by its mask in OUTPUT."""
    QUARANTINED = "quarantined"
    """Below `quarantine/` in OUTPUT, with the reason."""
    SUPERSEDED = "superseded"
    """A newer upload has replaced it under its name; that version is accounted for separately."""
    LOST = "lost"
    """In none of these places."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the buckets hold under the names that belong to one input; None where there is nothing.

    Attributes:
        current: The object in INPUT.
        mask: The object in OUTPUT under the mask's name.
        quarantined: The object in OUTPUT under the quarantined copy's name.
    """

    current: ObjectInfo | None
    mask: ObjectInfo | None
    quarantined: ObjectInfo | None


def mask_provenance(found: ObjectInfo | None) -> MaskProvenance | None:
    """What a mask says of its origin; None when it is absent, empty or not cloudseg's."""
    return MaskProvenance.from_metadata(found.metadata) if found and found.size else None


def quarantine_source(found: ObjectInfo | None) -> Source | None:
    """The input version of a quarantined copy; None when it is absent or no such copy."""
    if found is None or quarantine_reason(found.metadata) is None:
        return None
    return Source.from_metadata(found.metadata)


def proof_of(version: InputObject, bucket: str, evidence: Evidence, model_digest: str | None) -> Proof:
    """Judge whether OUTPUT proves that an input version has been dealt with.

    Args:
        version: The input version.
        bucket: The input bucket.
        evidence: What OUTPUT holds; `current` plays no part.
        model_digest: The run's model; None: a mask by any model counts.
    """
    source = Source(bucket, version.name, version.generation, version.crc32c)
    provenance = mask_provenance(evidence.mask)
    if provenance and provenance.source == source and model_digest in (None, provenance.model_digest):
        return Proof.MASKED
    copy = evidence.quarantined
    if quarantine_source(copy) == source and copy is not None and copy.size == version.size:
        return Proof.QUARANTINED
    return Proof.NONE


def place_of(version: InputObject, bucket: str, evidence: Evidence) -> Place:
    """Find the one place where an input version is.

    Args:
        version: The input version.
        bucket: The input bucket.
        evidence: `current` must have been looked up before the other two, so that a version that moves in between
            is seen at least once.
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
    """The newest version of an input found in the buckets, as itself, a mask or a copy; 0 if there is none."""
    provenance = mask_provenance(evidence.mask)
    sources = [provenance.source if provenance else None, quarantine_source(evidence.quarantined)]
    generations = [source.generation for source in sources if source and (source.bucket, source.name) == (bucket, name)]
    if evidence.current:
        generations.append(evidence.current.generation)
    return max(generations, default=0)


def count_places(places: Mapping[Place, int]) -> dict[str, int]:
    """Counts by place, every place named, for JSON."""
    return {place.value: places.get(place, 0) for place in Place}
