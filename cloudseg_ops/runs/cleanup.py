"""Clean-up: removes proven inputs from INPUT. No other code in cloudseg deletes an input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

from cloudseg_ops.contracts.errors import ObjectNotFoundError, PreconditionFailedError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import AfterSuccess, Evidence, Proof, proof_of
from cloudseg_ops.contracts.provenance import Source, archive_name
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.snapshots import pages
from cloudseg_ops.storage import Deletion, Store
from cloudseg_ops.storage.concurrency import in_order
from cloudseg_ops.storage.evidence import gather_evidence

# Limits the inputs that are waiting between proof and delete: about four seconds' worth at the initial pace.
_PAGES_AT_ONCE = 4


class Cleaned(StrEnum):
    """The result of clean-up for an input version."""

    DELETED = "deleted"
    ARCHIVED = "archived"
    """Copied to the archive, then deleted."""
    KEPT = "kept"
    """Proven, but kept in INPUT as the run's settings demand."""
    LEFT = "left"
    """Still in INPUT, because there is no proof for it."""
    GONE = "gone"
    """No longer in INPUT: deleted by an earlier try, by another run or by a user."""
    CHANGED = "changed"
    """Replaced by a newer version, which stays for the next run."""


def decide(
    version: InputObject, bucket: str, evidence: Evidence, *, model_digest: str, after_success: AfterSuccess
) -> Cleaned:
    """Decide what to do with an input version: `deleted` and `archived` are still to be carried out.

    Args:
        version: The input version.
        bucket: The input bucket.
        evidence: The objects that belong to the input.
        model_digest: Digest of the run's model.
        after_success: What to do with a proven input.
    """
    if evidence.current is None:
        return Cleaned.GONE
    if evidence.current.generation != version.generation:
        return Cleaned.CHANGED
    proof = proof_of(version, bucket, evidence, model_digest)
    if proof is Proof.NONE:
        return Cleaned.LEFT
    if after_success == "keep":
        return Cleaned.KEPT
    # A quarantined copy is an archive already.
    return Cleaned.ARCHIVED if after_success == "archive" and proof is Proof.MASKED else Cleaned.DELETED


def clean_inputs(
    store: Store,
    inputs: Iterable[InputObject],
    *,
    input_bucket: str,
    output_bucket: str,
    model_digest: str,
    after_success: AfterSuccess,
) -> dict[str, int]:
    """Delete or archive the proven inputs, a page of a thousand at a time; safe to repeat at any point.

    The proof is read from OUTPUT right before the delete, which is limited to the input's generation, so that a newer
    upload stays. While the deletes of some pages wait for the store's rate limit, the proofs of the next are read.

    Args:
        store: Cloud Storage.
        inputs: The run's snapshot.
        input_bucket: The input bucket.
        output_bucket: The output bucket.
        model_digest: Digest of the run's model; only masks by this model are proof.
        after_success: What to do with a proven input.

    Returns:
        The number of input versions for each value of `Cleaned`.
    """

    def clean(page: list[InputObject]) -> Counter[Cleaned]:
        found = gather_evidence(store, page, input_bucket=input_bucket, output_bucket=output_bucket)
        fates = {
            version: decide(version, input_bucket, evidence, model_digest=model_digest, after_success=after_success)
            for version, evidence in zip(page, found, strict=True)
        }
        _carry_out(store, fates, input_bucket=input_bucket, output_bucket=output_bucket)
        return Counter(fates.values())

    counts: Counter[Cleaned] = Counter()
    for cleaned in in_order(clean, pages(inputs), at_once=_PAGES_AT_ONCE):
        counts += cleaned
    return {fate.value: counts[fate] for fate in Cleaned}


def _carry_out(store: Store, fates: dict[InputObject, Cleaned], *, input_bucket: str, output_bucket: str) -> None:
    """Archive and delete as decided, and correct `fates` for inputs that changed in the meantime."""
    archived = [version for version, fate in fates.items() if fate is Cleaned.ARCHIVED]
    copied = _archive(store, archived, input_bucket=input_bucket, output_bucket=output_bucket)
    to_delete = copied + [version for version, fate in fates.items() if fate is Cleaned.DELETED]
    deletions = store.delete_many(input_bucket, ((version.name, version.generation) for version in to_delete))
    for version, deletion in zip(to_delete, deletions, strict=True):
        fates[version] = _after_delete(fates[version], deletion)
    for version in set(archived) - set(copied):
        fates[version] = Cleaned.CHANGED


def _after_delete(fate: Cleaned, deletion: Deletion) -> Cleaned:
    if deletion is Deletion.CHANGED:
        return Cleaned.CHANGED
    # An object that was already gone counts as deleted: the response to an earlier delete request may have been lost.
    return fate


def _archive(
    store: Store, versions: Sequence[InputObject], *, input_bucket: str, output_bucket: str
) -> list[InputObject]:
    """Copy versions to the archive, and return those that still existed."""

    def copy(version: InputObject) -> bool:
        source = Source(input_bucket, version.name, version.generation, version.crc32c)
        try:
            store.copy(
                GcsUri(input_bucket, version.name),
                version.generation,
                GcsUri(output_bucket, archive_name(version.name)),
                metadata=source.to_metadata(),
            )
        except (ObjectNotFoundError, PreconditionFailedError):
            return False
        return True

    with ThreadPoolExecutor(max_workers=8) as pool:
        return [version for version, copied in zip(versions, pool.map(copy, versions), strict=True) if copied]
