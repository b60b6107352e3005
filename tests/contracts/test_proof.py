"""What proves an input version, and where it is: tables, and properties over all possible evidence."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import AfterSuccess, Evidence, Place, Proof, count_places, place_of, proof_of
from cloudseg_ops.contracts.provenance import MaskProvenance, Source, quarantine_reason
from cloudseg_ops.runs.cleanup import decide
from cloudseg_ops.runs.cleanup_result import Cleaned
from cloudseg_ops.storage import ObjectInfo
from tests.support.samples import DIGEST, OTHER_DIGEST, copy_of, described, mask_of, source_of, version

V = version()
S = source_of(V)
NEWER = replace(S, generation=8, crc32c="CCCCCC==")
OLDER = replace(S, generation=6, crc32c="CCCCCC==")
HERE = described()
CHANGED = described(generation=8, crc32c="CCCCCC==")

PROOFS = {
    "nothing": (None, None, Proof.NONE),
    "its mask": (mask_of(S), None, Proof.MASKED),
    "its quarantined copy": (None, copy_of(S), Proof.QUARANTINED),
    "both": (mask_of(S), copy_of(S), Proof.MASKED),
    "mask by another model": (mask_of(S, OTHER_DIGEST), None, Proof.NONE),
    "mask by another model, and its copy": (mask_of(S, OTHER_DIGEST), copy_of(S), Proof.QUARANTINED),
    "mask of a newer generation": (mask_of(NEWER), None, Proof.NONE),
    "mask of an older generation": (mask_of(OLDER), None, Proof.NONE),
    "mask of another name": (mask_of(replace(S, name="b.jpg")), None, Proof.NONE),
    "mask of another bucket": (mask_of(replace(S, bucket="elsewhere")), None, Proof.NONE),
    "mask of other bytes": (mask_of(replace(S, crc32c="CCCCCC==")), None, Proof.NONE),
    "empty mask": (mask_of(S, size=0), None, Proof.NONE),
    "mask without metadata": (replace(mask_of(S), metadata={}), None, Proof.NONE),
    "mask with the source's metadata alone": (replace(mask_of(S), metadata=S.to_metadata()), None, Proof.NONE),
    "quarantined copy at the mask's name": (copy_of(S), None, Proof.NONE),
    "copy of a newer generation": (None, copy_of(NEWER), Proof.NONE),
    "copy of an older generation": (None, copy_of(OLDER), Proof.NONE),
    "copy of another bucket": (None, copy_of(replace(S, bucket="elsewhere")), Proof.NONE),
    "copy of other bytes": (None, copy_of(replace(S, crc32c="CCCCCC==")), Proof.NONE),
    "copy of another size": (None, copy_of(S, size=999), Proof.NONE),
    "empty copy": (None, copy_of(S, size=0), Proof.NONE),
    "copy without a reason": (None, replace(copy_of(S), metadata=S.to_metadata()), Proof.NONE),
    "copy without metadata": (None, replace(copy_of(S), metadata={}), Proof.NONE),
    "archived copy": (None, described("archive/a.jpg", metadata=S.to_metadata(), bucket="out"), Proof.NONE),
}


@pytest.mark.parametrize(("mask", "copy", "expected"), PROOFS.values(), ids=PROOFS)
@pytest.mark.parametrize("current", [None, HERE, CHANGED], ids=["gone", "here", "changed"])
def test_proof_of_each_evidence(
    current: ObjectInfo | None, mask: ObjectInfo | None, copy: ObjectInfo | None, expected: Proof
) -> None:
    assert proof_of(V, "in", Evidence(current, mask, copy), DIGEST) is expected


def test_audit_accepts_a_mask_of_any_model() -> None:
    assert proof_of(V, "in", Evidence(None, mask_of(S, OTHER_DIGEST), None), None) is Proof.MASKED
    assert proof_of(V, "in", Evidence(None, mask_of(NEWER, OTHER_DIGEST), None), None) is Proof.NONE


def test_an_empty_photograph_is_proven_by_its_empty_copy() -> None:
    empty = version(size=0)
    assert proof_of(empty, "in", Evidence(None, None, copy_of(source_of(empty), size=0)), DIGEST) is Proof.QUARANTINED


PLACES = {
    "in INPUT": (Evidence(HERE, None, None), Place.INPUT),
    "in INPUT, masked and kept": (Evidence(HERE, mask_of(S), copy_of(S)), Place.INPUT),
    "in INPUT, with a newer version's mask": (Evidence(HERE, mask_of(NEWER), None), Place.INPUT),
    "masked": (Evidence(None, mask_of(S), None), Place.MASKED),
    "masked by another model": (Evidence(None, mask_of(S, OTHER_DIGEST), None), Place.MASKED),
    "masked, and a newer version has come": (Evidence(CHANGED, mask_of(S), None), Place.MASKED),
    "quarantined": (Evidence(None, None, copy_of(S)), Place.QUARANTINED),
    "quarantined, and a newer version has come": (Evidence(CHANGED, None, copy_of(S)), Place.QUARANTINED),
    "quarantined, and a newer version masked": (Evidence(None, mask_of(NEWER), copy_of(S)), Place.QUARANTINED),
    "superseded in INPUT": (Evidence(CHANGED, None, None), Place.SUPERSEDED),
    "superseded, by its mask": (Evidence(None, mask_of(NEWER), None), Place.SUPERSEDED),
    "superseded, by its quarantined copy": (Evidence(None, None, copy_of(NEWER)), Place.SUPERSEDED),
    "superseded, the newer one in INPUT, an older mask": (Evidence(CHANGED, mask_of(OLDER), None), Place.SUPERSEDED),
    "nowhere": (Evidence(None, None, None), Place.LOST),
    "an older version in INPUT": (Evidence(described(generation=6), None, None), Place.LOST),
    "an older version masked": (Evidence(None, mask_of(OLDER), None), Place.LOST),
    "an older version quarantined": (Evidence(None, None, copy_of(OLDER)), Place.LOST),
    "an empty mask": (Evidence(None, mask_of(S, size=0), None), Place.LOST),
    "an empty mask of a newer version": (Evidence(None, mask_of(NEWER, size=0), None), Place.LOST),
    "another bucket's newer version masked": (
        Evidence(None, mask_of(replace(NEWER, bucket="elsewhere")), None),
        Place.LOST,
    ),
    "another name's newer version quarantined": (
        Evidence(None, None, copy_of(replace(NEWER, name="b.jpg"))),
        Place.LOST,
    ),
    "a foreign object where the mask should be": (Evidence(None, described("a.jpg.mask.png"), None), Place.LOST),
    "a foreign object in quarantine": (Evidence(None, None, described("quarantine/a.jpg")), Place.LOST),
    "half a quarantined copy": (Evidence(None, None, copy_of(S, size=999)), Place.LOST),
}


@pytest.mark.parametrize(("evidence", "expected"), PLACES.values(), ids=PLACES)
def test_place_of_each_evidence(evidence: Evidence, expected: Place) -> None:
    assert place_of(V, "in", evidence) is expected


def test_places_are_counted_by_name() -> None:
    assert count_places({Place.LOST: 2}) == {"input": 0, "masked": 0, "quarantined": 0, "superseded": 0, "lost": 2}


DECISIONS = {
    "gone": (Evidence(None, mask_of(S), None), "delete", Cleaned.GONE),
    "gone, nothing proves it": (Evidence(None, None, None), "delete", Cleaned.GONE),
    "changed, though masked": (Evidence(CHANGED, mask_of(S), None), "delete", Cleaned.CHANGED),
    "changed, masked as it is now": (Evidence(CHANGED, mask_of(NEWER), None), "delete", Cleaned.CHANGED),
    "an older one is back": (Evidence(described(generation=6), mask_of(S), None), "delete", Cleaned.CHANGED),
    "not proven": (Evidence(HERE, None, None), "delete", Cleaned.LEFT),
    "not proven, archive": (Evidence(HERE, None, None), "archive", Cleaned.LEFT),
    "not proven, keep": (Evidence(HERE, None, None), "keep", Cleaned.LEFT),
    "another model's mask": (Evidence(HERE, mask_of(S, OTHER_DIGEST), None), "delete", Cleaned.LEFT),
    "masked, delete": (Evidence(HERE, mask_of(S), None), "delete", Cleaned.DELETED),
    "masked, archive": (Evidence(HERE, mask_of(S), None), "archive", Cleaned.ARCHIVED),
    "masked, keep": (Evidence(HERE, mask_of(S), None), "keep", Cleaned.KEPT),
    "quarantined, delete": (Evidence(HERE, None, copy_of(S)), "delete", Cleaned.DELETED),
    "quarantined, archive": (Evidence(HERE, None, copy_of(S)), "archive", Cleaned.DELETED),
    "quarantined, keep": (Evidence(HERE, None, copy_of(S)), "keep", Cleaned.KEPT),
}


@pytest.mark.parametrize(("evidence", "after_success", "expected"), DECISIONS.values(), ids=DECISIONS)
def test_decision_for_each_evidence(evidence: Evidence, after_success: AfterSuccess, expected: Cleaned) -> None:
    assert decide(V, "in", evidence, model_digest=DIGEST, after_success=after_success) is expected


# Few values of each kind, so that matches and mismatches are both frequent.
names = st.sampled_from(["a.jpg", "b.jpg"])
generations = st.integers(6, 8)
sizes = st.sampled_from([0, 999, 1000])
checksums = st.sampled_from(["AAAAAA==", "CCCCCC=="])
sources = st.builds(Source, st.sampled_from(["in", "elsewhere"]), names, generations, checksums)
masks = st.builds(mask_of, sources, st.sampled_from([DIGEST, OTHER_DIGEST]), st.sampled_from([0, 50]))
copies = st.builds(copy_of, sources, sizes)


@st.composite
def with_holes(draw: st.DrawFn, objects: st.SearchStrategy[ObjectInfo]) -> ObjectInfo:
    found = draw(objects)
    dropped = draw(st.none() | st.sampled_from(sorted(found.metadata)))
    return replace(found, metadata={key: value for key, value in found.metadata.items() if key != dropped})


evidences = st.builds(
    Evidence,
    st.none() | st.builds(described, names, generations, sizes, checksums),
    st.none() | with_holes(masks) | copies,
    st.none() | with_holes(copies) | masks,
)
versions = st.builds(InputObject, names, generations, sizes, checksums)
choices: st.SearchStrategy[AfterSuccess] = st.sampled_from(["delete", "archive", "keep"])


def _mask_proves(item: InputObject, mask: ObjectInfo | None) -> bool:
    """An independent implementation of the rule."""
    provenance = MaskProvenance.from_metadata(mask.metadata) if mask else None
    return bool(
        mask
        and mask.size > 0
        and provenance
        and (provenance.source.bucket, provenance.source.name) == ("in", item.name)
        and (provenance.source.generation, provenance.source.crc32c) == (item.generation, item.crc32c)
        and provenance.model_digest == DIGEST
    )


def _copy_proves(item: InputObject, copy: ObjectInfo | None) -> bool:
    provenance = Source.from_metadata(copy.metadata) if copy else None
    return bool(
        copy
        and copy.size == item.size
        and quarantine_reason(copy.metadata)
        and provenance == Source("in", item.name, item.generation, item.crc32c)
    )


@given(versions, evidences, choices)
@hypothesis_settings(max_examples=500)
def test_only_proven_versions_are_deleted(item: InputObject, evidence: Evidence, after_success: AfterSuccess) -> None:
    decision = decide(item, "in", evidence, model_digest=DIGEST, after_success=after_success)
    masked, copied = _mask_proves(item, evidence.mask), _copy_proves(item, evidence.quarantined)
    here = evidence.current is not None and evidence.current.generation == item.generation
    ordered = decision in (Cleaned.DELETED, Cleaned.ARCHIVED)
    assert ordered == (here and (masked or copied) and after_success != "keep")
    # Archiving needs a mask: the archive has segmented inputs.
    assert decision is not Cleaned.ARCHIVED or masked
    assert (decision is Cleaned.LEFT) == (here and not masked and not copied)


@given(versions, evidences, choices)
@hypothesis_settings(max_examples=200)
def test_deletion_never_loses_a_version(item: InputObject, evidence: Evidence, after_success: AfterSuccess) -> None:
    decision = decide(item, "in", evidence, model_digest=DIGEST, after_success=after_success)
    if decision in (Cleaned.DELETED, Cleaned.ARCHIVED):
        after = place_of(item, "in", replace(evidence, current=None))
        assert after in (Place.MASKED, Place.QUARANTINED)
