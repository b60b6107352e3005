"""Writes previews of a chunk's masks: of the first few for the run's report, or of all for its gallery."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.overlay import CLOUD, draw_pair, to_jpeg
from cloudseg_ops.contracts.photographs import fit_size
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import preview_uri
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Classes, Prediction
from cloudseg_ops.engine.io.image_work import provenance_of
from cloudseg_ops.engine.process.options import EngineOptions
from cloudseg_ops.storage import Store

_log = logging.getLogger(__name__)

_THREADS = 8
_WAITING = 32
"""Maximum number of photographs that wait for their previews; further callers block, so that memory stays constant."""


class PreviewWriter:
    """Draws and uploads previews in the background.

    Args:
        options: The engine's options: the folder of previews, and how many to write.
        store: Cloud Storage.
        ref: The run's model.
    """

    def __init__(self, options: EngineOptions, store: Store, ref: ModelRef) -> None:
        self._options = options
        self._store = store
        self._ref = ref
        self._folder = options.previews
        self._left = options.preview_count
        self._threads = ThreadPoolExecutor(_THREADS if options.preview_all else 1, "preview")
        self._slots = threading.BoundedSemaphore(_WAITING)

    def offer(self, image: DecodedImage, prediction: Prediction, result: Result) -> None:
        """Schedule the preview of an image whose mask is written, if it is one of the first or all get a preview.

        Args:
            image: The photograph.
            prediction: The network's prediction.
            result: The image's result.
        """
        if self._folder is None or result.outcome is not Outcome.DONE:
            return
        # A race between two threads results in one extra preview, which is harmless.
        first = self._left > 0
        self._left -= first
        if first or self._options.preview_all:
            self._slots.acquire()
            writing = self._threads.submit(self._write, self._folder, image, prediction, result, first=first)
            writing.add_done_callback(lambda _: self._slots.release())

    def close(self, *, wait: bool) -> None:
        """Stop the threads; with `wait`, wait until all scheduled previews are written."""
        self._threads.shutdown(wait=wait, cancel_futures=not wait)

    def _write(
        self, folder: GcsUri, image: DecodedImage, prediction: Prediction, result: Result, *, first: bool
    ) -> None:
        source = result.source
        provenance = provenance_of(source, result.cloud_fraction or 0.0, self._options, self._ref)
        try:
            self._store.write(
                preview_uri(folder, self._options.chunk_index, source.name, source.generation, first=first),
                render_preview(image, prediction.classes),
                content_type="image/jpeg",
                metadata=provenance.to_metadata(),
            )
        except Exception as error:  # noqa: BLE001  the mask is written, and a preview must not fail the image
            _log.warning("no preview of %s: %s", source.name, error)


MAX_SIDE = 320
"""Longest side of each half of a preview, in pixels."""


def render_preview(image: DecodedImage, classes: Classes) -> bytes:
    """Return a JPEG of a photograph and its mask overlay, side by side."""
    cloud = Image.fromarray((classes == CLOUD).astype(np.uint8) * 255)
    return to_jpeg(draw_pair(_thumbnail(image), cloud))


def _thumbnail(image: DecodedImage) -> Image.Image:
    pixels = image.pixels
    # Of many bands, the first three.
    pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1]
    if pixels.dtype != np.uint8:
        pixels = np.round(np.clip(pixels.astype(np.float32), 0, 1) * 255).astype(np.uint8)
    photograph = Image.fromarray(np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))))
    # A photograph that was stretched for the network gets its own shape again.
    height, width = image.mask_size
    size = fit_size(fit_size((width, height), max(photograph.size)), MAX_SIDE)
    if size != photograph.size:
        photograph = photograph.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return photograph
