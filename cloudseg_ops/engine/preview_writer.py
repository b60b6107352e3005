"""Writes small pictures of a chunk's first masks for the run's report."""

from __future__ import annotations

import itertools
import logging
from concurrent.futures import ThreadPoolExecutor

from cloudseg_ops.engine.decode import DecodedImage
from cloudseg_ops.engine.options import EngineOptions
from cloudseg_ops.engine.previews import render_preview
from cloudseg_ops.engine.restore import Prediction
from cloudseg_ops.engine.work import provenance_of
from cloudseg_ops.models import ModelRef
from cloudseg_ops.results import Outcome, Result
from cloudseg_ops.storage import Store

_log = logging.getLogger(__name__)


class PreviewWriter:
    """Draws and uploads, beside the work that counts.

    Args:
        options: Where they go, and how many.
        store: Cloud Storage.
        ref: The run's model.
    """

    def __init__(self, options: EngineOptions, store: Store, ref: ModelRef) -> None:
        self._options = options
        self._store = store
        self._ref = ref
        self._numbers = itertools.count()
        self._left = options.preview_count if options.previews else 0
        self._thread = ThreadPoolExecutor(1, "preview")

    def offer(self, image: DecodedImage, prediction: Prediction, result: Result) -> None:
        """Draw an image whose mask is written, if it is one of the first."""
        # Two threads that come at once make one preview more, which is no harm.
        if self._left <= 0 or result.outcome is not Outcome.DONE:
            return
        self._left -= 1
        self._thread.submit(self._write, image, prediction, result)

    def close(self, *, wait: bool) -> None:
        """End; with `wait`, when all are written."""
        self._thread.shutdown(wait=wait, cancel_futures=not wait)

    def _write(self, image: DecodedImage, prediction: Prediction, result: Result) -> None:
        folder = self._options.previews
        if folder is None:
            return
        provenance = provenance_of(result.source, result.cloud_fraction or 0.0, self._options, self._ref)
        try:
            self._store.write(
                folder / f"{self._options.chunk_index:05d}-{next(self._numbers)}.jpg",
                render_preview(image, prediction.classes),
                content_type="image/jpeg",
                metadata=provenance.to_metadata(),
            )
        except Exception as error:  # noqa: BLE001  the mask is written: a picture for the report may not undo that
            _log.warning("no preview of %s: %s", result.source.name, error)
