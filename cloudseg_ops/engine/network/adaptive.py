"""A predictor that tunes its batch size, and falls back to smaller batches and tiles when memory runs out."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence

import torch

from cloudseg_ops.contracts.errors import DeviceError, EngineError, ImageTooLargeError, LowPrecisionError
from cloudseg_ops.contracts.quantities import format_bytes
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Prediction
from cloudseg_ops.engine.network.device import device_failure, is_device_failure, is_out_of_memory
from cloudseg_ops.engine.network.inputs import Work
from cloudseg_ops.engine.network.predict import Predictor
from cloudseg_ops.engine.process.stopping import COMPUTE_SECONDS, Stop
from cloudseg_ops.engine.scheduling.batching import Size
from cloudseg_ops.engine.scheduling.tuning import BatchTuner

_log = logging.getLogger(__name__)

_LEFT = 0.5
"""Share of the initially available GPU memory; if less is left, another process must have taken it."""


class AdaptivePredictor:
    """Segments images in one batch, in smaller batches, or tile by tile; safe to share between threads.

    Args:
        predictor: Runs the network.
        tuner: Chooses the batch size, and reduces it when memory runs out.
        stop: The request to stop, checked between the tiles of a large image.
        workers: Number of threads that call this predictor.
        threads: Number of PyTorch threads per worker, on the CPU.
    """

    def __init__(self, predictor: Predictor, tuner: BatchTuner, stop: Stop, *, workers: int, threads: int) -> None:
        self._predictor = predictor
        self._stop = stop
        self._tuner = tuner
        self._threads = threads
        self._gpu_memory = _gpu_memory() if self.on_gpu else 0
        self.workers = workers

    @property
    def on_gpu(self) -> bool:
        """Whether forward passes run on a GPU."""
        return self._predictor.network.device.type == "cuda"

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        """Return the context in which a worker's thread runs: on a GPU, its CUDA stream."""
        torch.set_num_threads(self._threads)
        if not self.on_gpu:
            yield
            return
        device = self._predictor.network.device
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        # The weights were copied on the default stream, which other streams do not wait for implicitly.
        stream.wait_stream(torch.cuda.default_stream(device))
        with torch.cuda.stream(stream):
            yield

    def limit(self, size: Size) -> int:
        """Return the current maximum batch size for images of a padded size (height, width)."""
        work = self._predictor.inputs.work(size)
        # An image of many tiles fills batches alone.
        return 1 if self._needs_tiles(work, self._tuner.max_pixels) else self._batch(work)

    def _batch(self, work: Work) -> int:
        """Return how many inputs of the network to compute at once."""
        network = self._predictor.network
        return network.batch or max(network.fewest, self._tuner.limit(work.size))

    def predict(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        """Segment images of the same padded size, and tune the batch size by the time and memory they take.

        Raises:
            ModelLoadError: The shape of the network's output does not match the parameters.
            ImageTooLargeError: The image does not fit into memory, even in small tiles.
            NonFiniteLogitsError: The network returned logits that are NaN or infinite, for one image also in float32.
            DeviceError: The GPU failed, or another process has taken its memory; no image is to blame.
        """
        work = self._predictor.inputs.work((images[0].height, images[0].width))
        batch, max_pixels = self._batch(work), self._tuner.max_pixels
        tiled = len(images) == 1 and self._needs_tiles(work, max_pixels)
        began = time.monotonic()
        try:
            predictions = (
                [self._tiled(self._predictor, images[0], max_pixels, batch)]
                if tiled
                else self._predictor.predict(images)
            )
        except LowPrecisionError as error:
            # In a batch, a single image may be the cause: the images are computed one by one then.
            if len(images) > 1 or not self._predictor.network.bf16:
                raise
            return [self._in_float32(images[0], error)]
        except Exception as error:
            if is_device_failure(error):
                raise device_failure(error) from error
            if not is_out_of_memory(error):
                raise
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        else:
            seconds = time.monotonic() - began
            if not tiled:
                self._tuner.record(work.size, len(images), seconds)
            elif 1 < work.windows >= batch:
                self._tuner.record(work.size, batch, seconds * batch / work.windows)
            return predictions
        # Outside the handler: the traceback references the tensors that took the memory.
        return self._retry_smaller(images, work, reason)

    def _needs_tiles(self, work: Work, max_pixels: int) -> bool:
        network = self._predictor.network
        return work.windows > 1 or (network.size is None and work.pixels * network.fewest > max_pixels)

    def _tiled(self, predictor: Predictor, image: DecodedImage, max_pixels: int, batch: int) -> Prediction:
        network = predictor.network
        if network.size is None:
            # As large as they fit, one at a time; a network may compute them several times to fill its batch.
            return predictor.predict_tiled(image, max(1, max_pixels // network.fewest), self._check_stop)
        return predictor.predict_tiled(image, max_pixels, self._check_stop, batch=batch)

    def _in_float32(self, image: DecodedImage, coarse: LowPrecisionError) -> Prediction:
        """Compute an image in float32 whose logits were not finite in bfloat16."""
        # A pass in float32 may take twice the memory.
        max_pixels = max(1, self._tuner.max_pixels // 2)
        exact = self._predictor.in_float32
        work = exact.inputs.work((image.height, image.width))
        _log.warning("an image is computed in float32, because its logits in bfloat16 are NaN or infinite")
        try:
            if self._needs_tiles(work, max_pixels):
                return self._tiled(exact, image, max_pixels, exact.network.fewest)
            return exact.predict([image])[0]
        except Exception as error:
            if is_device_failure(error):
                raise device_failure(error) from error
            if isinstance(error, ImageTooLargeError) or is_out_of_memory(error):
                raise coarse from error
            raise

    def _check_stop(self) -> None:
        if self._stop.seconds_since > COMPUTE_SECONDS:
            raise EngineError("stopped on request in the middle of a large image; the next try starts it again")

    def _retry_smaller(self, images: Sequence[DecodedImage], work: Work, reason: str) -> list[Prediction]:
        network = self._predictor.network
        count = max(self._batch(work) if work.windows > 1 else len(images), network.fewest)
        pixels = work.pixels * count
        self._tuner.shrink(pixels if count > 1 else min(pixels, self._tuner.max_pixels))
        if self.on_gpu:
            torch.cuda.empty_cache()
            self._check_gpu_memory(reason)
        if network.size and count <= network.fewest:
            raise EngineError(
                f"the network takes images of {work.size[0]} × {work.size[1]} pixels, {count} at a time, and these did "
                f"not fit into memory ({reason}); give the engine more memory, and run the chunk again"
            )
        _log.warning(
            "%d images of %d × %d did not fit into memory (%s): trying with fewer pixels", count, *work.size, reason
        )
        half = len(images) // 2
        # A single image is cut into tiles, which halve with each attempt until they fit or cannot be cut further.
        return [*self.predict(images[:half]), *self.predict(images[half:])] if half else self.predict(images)

    def _check_gpu_memory(self, reason: str) -> None:
        left = _gpu_memory()
        if left < self._gpu_memory * _LEFT:
            raise DeviceError(
                f"out of GPU memory ({reason}): {format_bytes(left)} are available to this process now, and "
                f"{format_bytes(self._gpu_memory)} were when the model was loaded, so another process has taken the "
                "rest; give each pod its own GPU, and run the chunk again"
            )


def _gpu_memory() -> int:
    """Return the bytes of GPU memory that this process holds or can still allocate."""
    return int(torch.cuda.mem_get_info()[0]) + int(torch.cuda.memory_reserved())
