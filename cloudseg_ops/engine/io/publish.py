"""Writes masks and quarantine copies, so that nothing of an older input version covers a newer one's."""

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
"""Each lost try means that another writer came in between; so many in a row do not happen by chance."""


class Publisher:
    """Writes to OUTPUT under preconditions; safe to share between threads.

    Args:
        store: Cloud Storage.
        input_bucket: Bucket of the photographs.
        output_bucket: Bucket of masks and quarantine.
        proofs: Reads what is there when a write is refused.
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
            source: The input version it is made of.
            png: The mask.
            provenance: Its metadata.
            present: What was at its name when last looked at.

        Returns:
            `done`, or `changed` when a newer version's mask is there.
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
                    source, Outcome.DONE, mask=target.name, cloud_fraction=round(provenance.cloud_fraction, 6)
                )
        raise self._contended(target)

    def quarantine(self, source: InputObject, reason: str, run_id: str, present: ObjectInfo | None) -> Result:
        """Copy an input that cannot be segmented, with the reason.

        Args:
            source: The input version.
            reason: Why it cannot be segmented.
            run_id: The Airflow run.
            present: What was at the copy's name when last looked at.

        Returns:
            `quarantined`; or `changed` or `vanished` when the version is not there any more.
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
        """Tell what became of an input version that can no longer be read.

        Raises:
            StorageError: It is there after all.
        """
        (evidence,) = self._proofs.look([source])
        if result := self._proofs.judge(source, evidence):
            return result
        address = GcsUri(self._input, source.name)
        present = self._store.stat(address)
        if present is None:
            return Result(source, Outcome.VANISHED, reason="it was gone before it could be read")
        if present.generation != source.generation:
            return Result(source, Outcome.CHANGED, reason=f"generation {present.generation} took its name")
        raise StorageError(f"{address}#{source.generation} could not be read and is there now; try again")

    def _contended(self, target: GcsUri) -> StorageError:
        return StorageError(
            f"write {target}: other writers came first {_TRIES} times; find out what else writes to that bucket"
        )
