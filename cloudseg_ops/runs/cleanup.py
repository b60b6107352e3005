"""Clean-up: removes proven inputs from INPUT. No other code in cloudseg deletes an input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from cloudseg_ops.contracts.errors import (
    BucketNotFoundError,
    ObjectHeldError,
    ObjectNotFoundError,
    ObjectRetainedError,
    PermissionDeniedError,
    PreconditionFailedError,
    StorageError,
)
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import AfterSuccess, Evidence, Proof, proof_of
from cloudseg_ops.contracts.provenance import Source, archive_name
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.cleanup_result import REFUSALS, Cleaned, CleanUp, Refusals
from cloudseg_ops.runs.snapshots import pages
from cloudseg_ops.storage import Deletion, Store
from cloudseg_ops.storage.concurrency import in_order
from cloudseg_ops.storage.evidence import gather_evidence

# Limits the inputs that are waiting between proof and delete: about four seconds' worth at the initial pace.
_PAGES_AT_ONCE = 4
_MOST_FAILED = 100
"""Objects that may fail for two minutes each before clean-up gives up: then storage fails, not an object."""
_Refused = tuple[str, Cleaned, str]
"""Name, outcome and reason of an input that could not be deleted or archived."""


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
) -> CleanUp:
    """Delete or archive the proven inputs, a page of a thousand at a time; safe to repeat at any point.

    The proof is read from OUTPUT right before the delete, which is limited to the input's generation, so that a newer
    upload stays. While the deletes of some pages wait for the store's rate limit, the proofs of the next are read. An
    input that cannot be deleted, because of a hold for example, is counted, and all others are cleaned up.

    Args:
        store: Cloud Storage.
        inputs: The run's snapshot.
        input_bucket: The input bucket.
        output_bucket: The output bucket.
        model_digest: Digest of the run's model; only masks by this model are proof.
        after_success: What to do with a proven input.

    Raises:
        StorageError: Cloud Storage failed as a whole, or for more than a hundred inputs.
    """

    def clean(page: list[InputObject]) -> tuple[Counter[Cleaned], list[_Refused]]:
        found = gather_evidence(store, page, input_bucket=input_bucket, output_bucket=output_bucket)
        fates = {
            version: decide(version, input_bucket, evidence, model_digest=model_digest, after_success=after_success)
            for version, evidence in zip(page, found, strict=True)
        }
        refused = _carry_out(store, fates, input_bucket=input_bucket, output_bucket=output_bucket)
        return Counter(fates.values()), refused

    counts: Counter[Cleaned] = Counter()
    refusals = Refusals()
    for cleaned, refused in in_order(clean, pages(inputs), at_once=_PAGES_AT_ONCE):
        counts += cleaned
        refusals.add(refused)
        if refusals.count(Cleaned.FAILED) > _MOST_FAILED:
            raise StorageError(
                f"clean up gs://{input_bucket}: {refusals.count(Cleaned.FAILED):,} deletes or copies failed, the last "
                f"ones with {refused[-1][2]}; try again later"
            )
    return CleanUp({fate.value: counts[fate] for fate in Cleaned}, refusals.groups())


def _carry_out(
    store: Store, fates: dict[InputObject, Cleaned], *, input_bucket: str, output_bucket: str
) -> list[_Refused]:
    """Archive and delete as decided, correct `fates` where that was not possible, and return what was refused."""
    refused: list[_Refused] = []
    archived = [version for version, fate in fates.items() if fate is Cleaned.ARCHIVED]
    for version, failure in _archive(store, archived, input_bucket=input_bucket, output_bucket=output_bucket):
        fates[version], reason = failure
        if fates[version] is not Cleaned.CHANGED:
            refused.append((version.name, fates[version], reason))
    to_delete = [version for version, fate in fates.items() if fate in (Cleaned.ARCHIVED, Cleaned.DELETED)]
    results = store.try_delete_many(input_bucket, ((version.name, version.generation) for version in to_delete))
    for version, result in zip(to_delete, results, strict=True):
        if result.outcome is Deletion.CHANGED:
            fates[version] = Cleaned.CHANGED
        elif result.outcome in REFUSALS:
            fates[version] = REFUSALS[result.outcome]
            refused.append((version.name, fates[version], result.reason))
        # An object that was already gone counts as deleted: the response to an earlier delete may have been lost.
    return refused


def _archive(
    store: Store, versions: Sequence[InputObject], *, input_bucket: str, output_bucket: str
) -> list[tuple[InputObject, tuple[Cleaned, str]]]:
    """Copy versions to the archive; return those that could not be copied, each with its outcome and the reason."""

    def copy(version: InputObject) -> tuple[Cleaned, str] | None:
        source = Source(input_bucket, version.name, version.generation, version.crc32c)
        try:
            store.copy(
                GcsUri(input_bucket, version.name),
                version.generation,
                GcsUri(output_bucket, archive_name(version.name)),
                metadata=source.to_metadata(),
            )
        except (ObjectNotFoundError, PreconditionFailedError):
            return Cleaned.CHANGED, ""
        except BucketNotFoundError:
            raise
        except StorageError as error:
            return _outcome_of(error), str(error)
        return None

    with ThreadPoolExecutor(max_workers=8) as pool:
        failures = zip(versions, pool.map(copy, versions), strict=True)
        return [(version, failure) for version, failure in failures if failure]


def _outcome_of(error: StorageError) -> Cleaned:
    if isinstance(error, ObjectHeldError):
        return Cleaned.HELD
    if isinstance(error, ObjectRetainedError):
        return Cleaned.RETAINED
    return Cleaned.FORBIDDEN if isinstance(error, PermissionDeniedError) else Cleaned.FAILED
