"""The work on one image apart from the network: download and decode it, and encode and upload its mask."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from cloudseg_ops import __version__
from cloudseg_ops.contracts.errors import (
    BadImageError,
    ContentEncodingError,
    DecoderMissingError,
    ObjectNotFoundError,
)
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.objects import InputObject, is_image_name
from cloudseg_ops.contracts.provenance import MaskProvenance, Source
from cloudseg_ops.contracts.quantities import format_bytes
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

_DECODER_TYPES = ("avif", "avifs", "heic", "heics", "heif", "heifs", "hif")
"""Extensions of the formats whose decoders may not be installed."""


def provenance_of(
    source: InputObject, fraction: float, options: EngineOptions, ref: ModelRef, range_used: float | None = None
) -> MaskProvenance:
    """Return the provenance of an input's mask.

    Args:
        source: The input version.
        fraction: Cloud fraction of the mask, 0–1.
        options: The engine's options.
        ref: The run's model.
        range_used: The photograph's, see `DecodedImage`.
    """
    return MaskProvenance(
        source=Source(options.input.bucket, source.name, source.generation, source.crc32c),
        model_revision=ref.revision,
        model_commit=ref.commit,
        model_md5=ref.md5,
        model_digest=ref.digest,
        cloud_fraction=fraction,
        run_id=options.run_id,
        version=__version__,
        range_used=range_used,
    )


class ImageWork:
    """Reads photographs and writes masks; safe to share between threads.

    Args:
        options: The engine's options: buckets and limits.
        store: Cloud Storage.
        ref: The run's model.
        largest_image: Maximum number of bytes for decoding one photograph.
    """

    def __init__(self, options: EngineOptions, store: Store, ref: ModelRef, largest_image: int) -> None:
        self._options = options
        self._store = store
        self._ref = ref
        self._largest_image = largest_image
        proofs = Proofs(store, options.input.bucket, options.output.bucket, ref.digest)
        self._publisher = Publisher(store, options.input.bucket, options.output.bucket, proofs)

    def fetch(self, item: Item, reserve: Callable[[int], None]) -> DecodedImage | Result:
        """Download exactly this version and decode it; if it cannot be segmented, quarantine it.

        Args:
            item: The image.
            reserve: Called with the bytes that decoding needs; may block.

        Raises:
            DecoderMissingError: Its name says that it is an AVIF or HEIC image, and the decoder is not installed.
            ObjectUnreadableError: Cloud Storage refuses to return the photograph, and so would refuse to copy it to
                quarantine.
            StorageError: Cloud Storage failed.
        """
        began = time.monotonic()
        source = item.source
        try:
            address = GcsUri(self._options.input.bucket, source.name)
            data, crc32c = self._store.read_input(
                address, generation=source.generation, size=source.size, crc32c=source.crc32c
            )
        except ObjectNotFoundError:
            return replace(self._publisher.account_for_loss(source), seconds=time.monotonic() - began)
        except ContentEncodingError as error:
            return self.quarantine(item, error.reason, began)
        found = "" if source.crc32c else crc32c

        def reserve_or_refuse(amount: int) -> None:
            if amount > self._largest_image:
                raise BadImageError(
                    f"decoding it needs {format_bytes(amount)} of memory, and the limit for one photograph is "
                    f"{format_bytes(self._largest_image)}; raise --memory and the pod's memory, and upload it again"
                )
            reserve(amount)

        params = self._ref.params
        try:
            image = decode(
                data,
                params.in_channels,
                self._options.max_pixels,
                max_side=params.max_side,
                resize_to=params.resized_to,
                scale=params.scale,
                reserve=reserve_or_refuse,
            )
        except BadImageError as error:
            return self.quarantine(item.with_crc32c(found), str(error), began)
        except DecoderMissingError as error:
            # With such a name, this deployment is meant to read the format. With another one, the name is wrong.
            if is_image_name(source.name, _DECODER_TYPES):
                raise
            return self.quarantine(item.with_crc32c(found), str(error), began)
        return replace(image, crc32c=found) if found else image

    def quarantine(self, item: Item, reason: str, began: float) -> Result:
        """Copy an image that cannot be segmented to quarantine.

        Args:
            item: The image.
            reason: Why it cannot be segmented.
            began: When its download began, in monotonic seconds.
        """
        source = item.source
        _log.warning("quarantine %s#%d: %s", source.name, source.generation, reason)
        result = self._publisher.quarantine(source, reason, self._options.run_id, item.seen.quarantined)
        return replace(result, seconds=time.monotonic() - began)

    def publish(self, computed: Computed) -> Result:
        """Encode the mask of an image and upload it with its provenance."""
        item = computed.item
        classes = computed.prediction.restored(computed.mask_size)
        fraction = cloud_fraction(classes)
        provenance = provenance_of(item.source, fraction, self._options, self._ref, computed.range_used)
        png = encode_mask(classes, self._ref.params.n_classes)
        result = self._publisher.write_mask(item.source, png, provenance, item.seen.mask)
        return replace(result, seconds=time.monotonic() - computed.began)
