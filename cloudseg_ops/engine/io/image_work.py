"""The work on one image but for the network: download and decode it, restore its mask, write what came of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from cloudseg_ops import __version__
from cloudseg_ops.contracts.errors import BadImageError, ObjectNotFoundError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.provenance import MaskProvenance, Source
from cloudseg_ops.contracts.quantities import in_words
from cloudseg_ops.contracts.results import Result
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.images.decode import DecodedImage, decode
from cloudseg_ops.engine.images.masks import cloud_fraction, encode_mask
from cloudseg_ops.engine.io.items import Computed, Item
from cloudseg_ops.engine.io.proofs import Proofs
from cloudseg_ops.engine.io.publish import Publisher
from cloudseg_ops.engine.process.options import EngineOptions
from cloudseg_ops.storage import Store

_log = logging.getLogger(__name__)


def provenance_of(source: InputObject, fraction: float, options: EngineOptions, ref: ModelRef) -> MaskProvenance:
    """What the mask of an input says of its origin; `fraction` is its share of cloud, 0–1."""
    return MaskProvenance(
        source=Source(options.input.bucket, source.name, source.generation, source.crc32c),
        model_revision=ref.revision,
        model_commit=ref.commit,
        model_md5=ref.md5,
        model_digest=ref.digest,
        cloud_fraction=fraction,
        run_id=options.run_id,
        version=__version__,
    )


class ImageWork:
    """Reads photographs and writes masks; safe to share between threads.

    Args:
        options: Buckets and limits.
        store: Cloud Storage.
        ref: The run's model.
        largest_image: Bytes that decoding one photograph may take.
    """

    def __init__(self, options: EngineOptions, store: Store, ref: ModelRef, largest_image: int) -> None:
        self._options = options
        self._store = store
        self._ref = ref
        self._largest_image = largest_image
        proofs = Proofs(store, options.input.bucket, options.output.bucket, ref.digest)
        self._publisher = Publisher(store, options.input.bucket, options.output.bucket, proofs)

    def fetch(self, item: Item, reserve: Callable[[int], None]) -> DecodedImage | Result:
        """Download exactly this version and decode it; a bad image is quarantined right here.

        Args:
            item: The image.
            reserve: Called with the bytes that decoding takes; may wait.
        """
        began = time.monotonic()
        source = item.source
        try:
            address = GcsUri(self._options.input.bucket, source.name)
            data = self._store.read(address, generation=source.generation, size=source.size, crc32c=source.crc32c)
        except ObjectNotFoundError:
            return replace(self._publisher.account_for_loss(source), seconds=time.monotonic() - began)

        def reserve_or_refuse(amount: int) -> None:
            if amount > self._largest_image:
                raise BadImageError(
                    f"decoding it takes {in_words(amount)} of memory, and one photograph may take "
                    f"{in_words(self._largest_image)} here; raise --memory, and the pod's memory, and upload it again"
                )
            reserve(amount)

        params = self._ref.params
        try:
            return decode(
                data,
                params.in_channels,
                self._options.max_pixels,
                max_side=params.max_side,
                reserve=reserve_or_refuse,
            )
        except BadImageError as error:
            return self.quarantine(item, str(error), began)

    def quarantine(self, item: Item, reason: str, began: float) -> Result:
        """Copy an image that cannot be segmented; `began` is when its download did, in monotonic seconds."""
        source = item.source
        _log.warning("quarantine %s#%d: %s", source.name, source.generation, reason)
        result = self._publisher.quarantine(source, reason, self._options.run_id, item.seen.quarantined)
        return replace(result, seconds=time.monotonic() - began)

    def publish(self, computed: Computed) -> Result:
        """Encode and upload the mask of an image with its provenance."""
        item = computed.item
        classes = computed.prediction.restored(computed.mask_size)
        provenance = provenance_of(item.source, cloud_fraction(classes), self._options, self._ref)
        png = encode_mask(classes, self._ref.params.n_classes)
        result = self._publisher.write_mask(item.source, png, provenance, item.seen.mask)
        return replace(result, seconds=time.monotonic() - computed.began)
