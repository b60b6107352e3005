"""A predictor that finds its batch size, and makes do with less when memory runs out."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence

import torch

from cloudseg_ops.engine.batching import Size
from cloudseg_ops.engine.decode import DecodedImage
from cloudseg_ops.engine.predict import Predictor
from cloudseg_ops.engine.restore import Prediction
from cloudseg_ops.engine.sizes import padded_size
from cloudseg_ops.engine.stopping import COMPUTE_SECONDS, Stop
from cloudseg_ops.engine.tuning import BatchTuner
from cloudseg_ops.errors import EngineError

_log = logging.getLogger(__name__)

_WORDS = ("can't allocate memory", "not enough memory", "bad_alloc", "could not create a memory")
"""How PyTorch's CPU allocator and oneDNN say that memory ran out."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of PyTorch's means that memory ran out, on a GPU or in main memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


class AdaptivePredictor:
    """Predicts whatever it is given: in one batch, in smaller ones, or tile by tile; safe to share between threads.

    Args:
        predictor: The network.
        tuner: Knows what fits, and learns.
        stop: Where a request to stop arrives: a large image may take longer than there is time.
        lanes: How many threads are to call it at once.
        threads: Threads of one operation on the CPU, in each of them.
    """

    def __init__(self, predictor: Predictor, tuner: BatchTuner, stop: Stop, *, lanes: int, threads: int) -> None:
        self._predictor = predictor
        self._stop = stop
        self._tuner = tuner
        self._threads = threads
        self.lanes = lanes

    @contextlib.contextmanager
    def lane(self) -> Iterator[None]:
        """What a lane's thread does its work in."""
        torch.set_num_threads(self._threads)
        device = self._predictor.network.device
        if device.type == "cuda":
            with torch.cuda.stream(torch.cuda.Stream(device)):  # type: ignore[no-untyped-call]
                yield
        else:
            yield

    def limit(self, size: Size) -> int:
        """Most images of that padded size (height, width) in a batch now."""
        return self._tuner.limit(size) if self._predictor.network.any_batch else 1

    def predict(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        """Segment photographs that agree in their padded size, and learn from what it took.

        Raises:
            ModelLoadError: The network's output is not of the shape that the parameters promise.
            ImageTooLargeError: Not even small tiles of it fit into memory.
            EngineError: The network gave logits that are no numbers.
        """
        size = padded_size((images[0].height, images[0].width), self._predictor.network.stride)
        began = time.monotonic()
        try:
            if len(images) == 1 and size[0] * size[1] > self._tuner.most_pixels:
                return [self._predictor.predict_tiled(images[0], self._tuner.most_pixels, self._check_stop)]
            predictions = self._predictor.predict(images)
        except Exception as error:
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
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        _log.warning("%d images of %d × %d did not fit into memory (%s): trying less", len(images), *size, told)
        half = len(images) // 2
        # One alone is cut into tiles, of half the pixels each time, until it fits or cannot be cut.
        return [*self.predict(images[:half]), *self.predict(images[half:])] if half else self.predict(images)
