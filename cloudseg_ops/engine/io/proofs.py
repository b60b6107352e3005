"""Reads the proofs in OUTPUT, before any work and whenever a precondition refuses a write."""

from __future__ import annotations

from collections.abc import Sequence

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Evidence, Proof, mask_provenance, newest_generation, proof_of
from cloudseg_ops.contracts.provenance import mask_name, quarantine_reason
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.storage import Store
from cloudseg_ops.storage.evidence import gather_evidence

NEWER = "a newer version with this name has already been processed"


class Proofs:
    """Reads proofs and applies the rules of `cloudseg_ops.contracts.proof`, as clean-up and audit do.

    Args:
        store: Cloud Storage.
        input_bucket: The input bucket.
        output_bucket: The output bucket.
        model_digest: Digest of the run's model; masks by other models are not proof.
    """

    def __init__(self, store: Store, input_bucket: str, output_bucket: str, model_digest: str) -> None:
        self._store = store
        self._input = input_bucket
        self._output = output_bucket
        self._digest = model_digest

    def look_up(self, sources: Sequence[InputObject]) -> list[Evidence]:
        """Read the masks' and quarantine copies' metadata of inputs, in few requests."""
        return gather_evidence(self._store, sources, input_bucket=None, output_bucket=self._output)

    def judge(self, source: InputObject, evidence: Evidence, masked: Outcome = Outcome.SKIPPED) -> Result | None:
        """Return the result of an input version that is already proven or superseded.

        Args:
            source: The input version.
            evidence: The objects in OUTPUT that belong to the input.
            masked: The outcome to return if a mask is the proof.

        Returns:
            The result, or None if the input version still has to be segmented.
        """
        proof = proof_of(source, self._input, evidence, self._digest)
        provenance = mask_provenance(evidence.mask)
        if proof is Proof.MASKED and provenance:
            name = mask_name(source.name)
            fraction, used = provenance.cloud_fraction, provenance.range_used
            return Result(source, masked, mask=name, cloud_fraction=fraction, range_used=used)
        if proof is Proof.QUARANTINED and evidence.quarantined:
            return Result(source, Outcome.QUARANTINED, reason=quarantine_reason(evidence.quarantined.metadata))
        if newest_generation(source.name, self._input, evidence) > source.generation:
            return Result(source, Outcome.CHANGED, reason=NEWER)
        return None
