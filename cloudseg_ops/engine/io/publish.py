"""Writes masks and quarantine copies, without replacing those of a newer input version."""

from __future__ import annotations

from cloudseg_ops.contracts.errors import ObjectNotFoundError, PreconditionFailedError, StorageError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Evidence
from cloudseg_ops.contracts.provenance import MaskProvenance, Source, mask_name, quarantine_metadata, quarantine_name
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.io.proofs import Proofs
from cloudseg_ops.storage import ObjectInfo, Store

_TRIES = 5
"""Maximum number of tries of a write; one fails only if another process writes to the same name in the meantime."""


class Publisher:
    """Writes to OUTPUT with preconditions; safe to share between threads.

    Args:
        store: Cloud Storage.
        input_bucket: The input bucket.
        output_bucket: The output bucket.
        proofs: Judges the existing object when a precondition fails.
    """

    def __init__(self, store: Store, input_bucket: str, output_bucket: str, proofs: Proofs) -> None:
        self._store = store
        self._input = input_bucket
        self._output = output_bucket
        self._proofs = proofs

    def write_mask(
        self, source: InputObject, png: bytes, provenance: MaskProvenance, present: ObjectInfo | None
    ) -> Result:
        """Upload a mask with its provenance in one request.

        Args:
            source: The input version.
            png: The encoded mask.
            provenance: The mask's provenance.
            present: The object last seen with the mask's name; None: there was none.

        Returns:
            The result: `done`, or `changed` if there is a mask of a newer version.

        Raises:
            StorageError: Other processes keep writing to the same name.
        """
        target = GcsUri(self._output, mask_name(source.name))
        for _ in range(_TRIES):
            try:
                self._store.write(
                    target,
                    png,
                    content_type="image/png",
                    metadata=provenance.to_metadata(),
                    if_generation_match=present.generation if present else 0,
                )
            except PreconditionFailedError:
                present = self._store.stat(target)
                if result := self._proofs.judge(source, Evidence(None, present, None), masked=Outcome.DONE):
                    return result
            else:
                return Result(
                    source,
                    Outcome.DONE,
                    mask=target.name,
                    cloud_fraction=round(provenance.cloud_fraction, 6),
                    range_used=provenance.range_used,
                )
        raise self._contended(target)

    def quarantine(self, source: InputObject, reason: str, run_id: str, present: ObjectInfo | None) -> Result:
        """Copy an input that cannot be segmented to quarantine, with the reason.

        Args:
            source: The input version.
            reason: Why it cannot be segmented.
            run_id: The Airflow run.
            present: The object last seen with the copy's name; None: there was none.

        Returns:
            The result: `quarantined`, or `changed` or `vanished` if the version no longer exists.

        Raises:
            StorageError: Other processes keep writing to the same name.
        """
        target = GcsUri(self._output, quarantine_name(source.name))
        origin = Source(self._input, source.name, source.generation, source.crc32c)
        for _ in range(_TRIES):
            try:
                self._store.copy(
                    GcsUri(self._input, source.name),
                    source.generation,
                    target,
                    metadata=quarantine_metadata(origin, reason, run_id),
                    if_generation_match=present.generation if present else 0,
                )
            except ObjectNotFoundError:
                return self.account_for_loss(source)
            except PreconditionFailedError:
                present = self._store.stat(target)
                if result := self._proofs.judge(source, Evidence(None, None, present)):
                    return result
            else:
                return Result(source, Outcome.QUARANTINED, reason=reason)
        raise self._contended(target)

    def account_for_loss(self, source: InputObject) -> Result:
        """Return the result of an input version that can no longer be read.

        Raises:
            StorageError: The version still exists.
        """
        (evidence,) = self._proofs.look_up([source])
        if result := self._proofs.judge(source, evidence):
            return result
        address = GcsUri(self._input, source.name)
        present = self._store.stat(address)
        if present is None:
            return Result(source, Outcome.VANISHED, reason="it was removed before it could be read")
        if present.generation != source.generation:
            return Result(source, Outcome.CHANGED, reason=f"generation {present.generation} replaced it")
        raise StorageError(f"{address}#{source.generation} could not be read, although it exists; try again")

    def _contended(self, target: GcsUri) -> StorageError:
        return StorageError(
            f"write {target}: other processes wrote to it first {_TRIES} times; find out what writes to this bucket"
        )
