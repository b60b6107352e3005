"""What OUTPUT already proves about an input version: read before any work, and whenever a write is refused."""

from __future__ import annotations

from collections.abc import Sequence

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Evidence, Proof, mask_provenance, newest_generation, proof_of
from cloudseg_ops.contracts.provenance import mask_name, quarantine_reason
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.storage import Store
from cloudseg_ops.storage.evidence import gather_evidence

NEWER = "a newer version of this name was handled already"


class Proofs:
    """Reads proofs, and judges by the rules of `cloudseg_ops.contracts.proof`, as clean-up and audit do.

    Args:
        store: Cloud Storage.
        input_bucket: Bucket of the photographs.
        output_bucket: Bucket of masks and quarantine.
        model_digest: The run's model; a mask by another one proves nothing.
    """

    def __init__(self, store: Store, input_bucket: str, output_bucket: str, model_digest: str) -> None:
        self._store = store
        self._input = input_bucket
        self._output = output_bucket
        self._digest = model_digest

    def look(self, sources: Sequence[InputObject]) -> list[Evidence]:
        """Look at the masks and quarantine copies of inputs, with few requests."""
        return gather_evidence(self._store, sources, input_bucket=None, output_bucket=self._output)

    def judge(self, source: InputObject, evidence: Evidence, masked: Outcome = Outcome.SKIPPED) -> Result | None:
        """Tell what is proven about an input version.

        Args:
            source: The input version.
            evidence: What OUTPUT holds.
            masked: The outcome when a mask proves it.

        Returns:
            None if nothing is proven: it must be segmented.
        """
        proof = proof_of(source, self._input, evidence, self._digest)
        provenance = mask_provenance(evidence.mask)
        if proof is Proof.MASKED and provenance:
            name = mask_name(source.name)
            return Result(source, masked, mask=name, cloud_fraction=provenance.cloud_fraction)
        if proof is Proof.QUARANTINED and evidence.quarantined:
            return Result(source, Outcome.QUARANTINED, reason=quarantine_reason(evidence.quarantined.metadata))
        if newest_generation(source.name, self._input, evidence) > source.generation:
            return Result(source, Outcome.CHANGED, reason=NEWER)
        return None
