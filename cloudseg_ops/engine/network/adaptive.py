"""A predictor that finds its batch size, and uses smaller batches and tiles when memory runs out."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence

import torch

from cloudseg_ops.contracts.errors import DeviceError, EngineError
from cloudseg_ops.contracts.quantities import in_words
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.restore import Prediction
from cloudseg_ops.engine.images.sizes import padded_size
from cloudseg_ops.engine.network.device import device_failure, is_device_failure, is_out_of_memory
from cloudseg_ops.engine.network.predict import Predictor
from cloudseg_ops.engine.process.stopping import COMPUTE_SECONDS, Stop
from cloudseg_ops.engine.scheduling.batching import Size
from cloudseg_ops.engine.scheduling.tuning import BatchTuner

_log = logging.getLogger(__name__)

_LEFT = 0.5
"""Share of the GPU memory there was at the start, below which another process has taken it."""


class AdaptivePredictor:
    """Segments images in one batch, in smaller ones, or tile by tile; safe to share between threads.

    Args:
        predictor: The network.
        tuner: Knows which batches fit into memory, and learns from those that do not.
        stop: The request to stop: a large image may take longer than is left.
        workers: Number of threads that call it.
        threads: PyTorch threads of each of them, on the CPU.
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
        """Give the context of a worker's thread: on a GPU, its CUDA stream."""
        torch.set_num_threads(self._threads)
        if not self.on_gpu:
            yield
            return
        device = self._predictor.network.device
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        # The weights were put in place by the default stream, for which other streams do not wait automatically.
        stream.wait_stream(torch.cuda.default_stream(device))
        with torch.cuda.stream(stream):
            yield

    def limit(self, size: Size) -> int:
        """Give the largest batch for images of that padded size (height, width), now."""
        return self._tuner.limit(size) if self._predictor.network.any_batch else 1

    def predict(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        """Segment photographs of one padded size, and learn from the time and memory that they take.

        Raises:
            ModelLoadError: The network's output is not of the shape that the parameters promise.
            ImageTooLargeError: Not even small tiles of it fit into memory.
            NonFiniteLogitsError: The network gave logits that are NaN or infinite.
            DeviceError: The GPU failed, or another process has taken its memory: no image is to blame.
        """
        size = padded_size((images[0].height, images[0].width), self._predictor.network.stride)
        began = time.monotonic()
        try:
            if len(images) == 1 and size[0] * size[1] > self._tuner.most_pixels:
                return [self._predictor.predict_tiled(images[0], self._tuner.most_pixels, self._check_stop)]
            predictions = self._predictor.predict(images)
        except Exception as error:
            if is_device_failure(error):
                raise device_failure(error) from error
            if not is_out_of_memory(error):
                raise
            told = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        else:
            self._tuner.record(size, len(images), time.monotonic() - began)
            return predictions
        # Out of the handler, for its traceback holds the tensors that took the memory.
        return self._with_less(images, size, told)

    def _check_stop(self) -> None:
        if self._stop.seconds_since > COMPUTE_SECONDS:
            raise EngineError("stopped on request in the middle of a large image, which the next try does again")

    def _with_less(self, images: Sequence[DecodedImage], size: Size, told: str) -> list[Prediction]:
        pixels = size[0] * size[1] * len(images)
        self._tuner.shrink(pixels if len(images) > 1 else min(pixels, self._tuner.most_pixels))
        if self.on_gpu:
            torch.cuda.empty_cache()
            self._check_gpu_memory(told)
        _log.warning("%d images of %d × %d did not fit into memory (%s): trying less", len(images), *size, told)
        half = len(images) // 2
        # One alone is cut into tiles, of half the pixels each time, until it fits or cannot be cut.
        return [*self.predict(images[:half]), *self.predict(images[half:])] if half else self.predict(images)

    def _check_gpu_memory(self, told: str) -> None:
        left = _gpu_memory()
        if left < self._gpu_memory * _LEFT:
            raise DeviceError(
                f"out of GPU memory ({told}): this process may have {in_words(left)} now and could have "
                f"{in_words(self._gpu_memory)} when the model was loaded, so another process has taken the rest; give "
                "each pod its own GPU, and run the chunk again"
            )


def _gpu_memory() -> int:
    """Bytes of GPU memory that this process holds or can still allocate."""
    return int(torch.cuda.mem_get_info()[0]) + int(torch.cuda.memory_reserved())
