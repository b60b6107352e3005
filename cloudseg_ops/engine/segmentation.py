"""The work on one image: download and decode it, compute its mask, write what came of it."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cloudseg_ops import __version__
from cloudseg_ops.engine.decode import DecodedImage, decode
from cloudseg_ops.engine.masks import Classes, cloud_fraction, encode_mask
from cloudseg_ops.engine.options import EngineOptions
from cloudseg_ops.engine.predict import Predictor
from cloudseg_ops.engine.previews import render_preview
from cloudseg_ops.engine.publish import Publisher
from cloudseg_ops.errors import BadImageError, ObjectNotFoundError
from cloudseg_ops.models import ModelRef
from cloudseg_ops.objects import InputObject
from cloudseg_ops.proof import Evidence
from cloudseg_ops.provenance import MaskProvenance, Source
from cloudseg_ops.results import Outcome, Result
from cloudseg_ops.storage import Store
from cloudseg_ops.uris import GcsUri

_log = logging.getLogger(__name__)


class Segmentation:
    """The stages that a pipeline runs.

    Args:
        options: Buckets, limits and previews.
        store: Cloud Storage.
        ref: The run's model.
        predictor: The model on its device.
        publisher: Writes to OUTPUT.
        seen: What was in OUTPUT when the chunk began.
    """

    def __init__(
        self,
        options: EngineOptions,
        *,
        store: Store,
        ref: ModelRef,
        predictor: Predictor,
        publisher: Publisher,
        seen: Mapping[InputObject, Evidence],
    ) -> None:
        self._options = options
        self._store = store
        self._ref = ref
        self._predictor = predictor
        self._publisher = publisher
        self._seen = seen
        self._preview_numbers = itertools.count()
        self._preview_lock = threading.Lock()

    def fetch(self, source: InputObject) -> DecodedImage | Result:
        """Download exactly this version and decode it; a bad image is quarantined right here."""
        began = time.monotonic()
        try:
            data = self._store.read(GcsUri(self._options.input.bucket, source.name), generation=source.generation)
        except ObjectNotFoundError:
            return replace(self._publisher.account_for_loss(source), seconds=time.monotonic() - began)
        try:
            return decode(data, self._ref.params.in_channels, self._options.max_pixels)
        except BadImageError as error:
            _log.warning("quarantine %s#%d: %s", source.name, source.generation, error)
            result = self._publisher.quarantine(
                source, str(error), self._options.run_id, self._seen[source].quarantined
            )
            return replace(result, seconds=time.monotonic() - began)

    def padded_size(self, image: DecodedImage) -> tuple[int, int]:
        """Images that agree in it may share a batch."""
        return self._predictor.padded_size(image)

    def predict(self, images: Sequence[DecodedImage]) -> list[Classes]:
        """Segment a batch."""
        return self._predictor.predict(images)

    def publish(self, source: InputObject, image: DecodedImage, classes: Classes, began: float) -> Result:
        """Encode and upload the mask with its provenance, and a preview of the first ones."""
        provenance = MaskProvenance(
            source=Source(self._options.input.bucket, source.name, source.generation, source.crc32c),
            model_revision=self._ref.revision,
            model_commit=self._ref.commit,
            model_md5=self._ref.md5,
            model_digest=self._ref.digest,
            cloud_fraction=cloud_fraction(classes),
            run_id=self._options.run_id,
            version=__version__,
        )
        png = encode_mask(classes, self._ref.params.n_classes)
        result = self._publisher.write_mask(source, png, provenance, self._seen[source].mask)
        result = replace(result, seconds=time.monotonic() - began)
        if result.outcome is Outcome.DONE:
            self._preview(image, classes, provenance)
        return result

    def _preview(self, image: DecodedImage, classes: Classes, provenance: MaskProvenance) -> None:
        folder = self._options.previews
        if folder is None:
            return
        with self._preview_lock:
            number = next(self._preview_numbers)
        if number >= self._options.preview_count:
            return
        try:
            self._store.write(
                folder / f"{self._options.chunk_index:05d}-{number}.jpg",
                render_preview(image, classes),
                content_type="image/jpeg",
                metadata=provenance.to_metadata(),
            )
        except Exception as error:  # noqa: BLE001  the mask is written: a picture for the report may not undo that
            _log.warning("no preview of %s: %s", provenance.source.name, error)
