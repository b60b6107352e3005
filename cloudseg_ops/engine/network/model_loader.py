"""Loads a chunk's model while its first photographs are downloaded, and fits it to device and memory."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from cloudseg_ops.contracts.errors import DeviceError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.quantities import in_words
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.sizes import padded_size
from cloudseg_ops.engine.memory.gc_control import start_gc
from cloudseg_ops.engine.memory.plan import MemoryPlan
from cloudseg_ops.engine.network.device import DeviceType, open_device, translate_device_errors
from cloudseg_ops.engine.network.reference import describe, read_weights
from cloudseg_ops.engine.process.options import EngineOptions, usable_cpus
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.storage import Store

if TYPE_CHECKING:
    from cloudseg_ops.engine.network.adaptive import AdaptivePredictor
    from cloudseg_ops.engine.network.loading import Network

_MOST_WORKERS = 8
"""Each worker on the CPU has its own activations; beyond this many, operations get more threads instead."""
_GPU_WORKERS = 2
"""One copies while the other computes."""
_GPU_START = 4
"""Images of the first batches on a GPU, for which one would be a waste."""
_GPU_SHARE = 0.9
"""Of the GPU's free memory: the rest is for the convolutions' workspaces."""
_LEAST_GPU_PIXELS = 512 * 512
_WASTE = 1.15
"""What allocators and oneDNN's scratch take beyond the tensors."""

_log = logging.getLogger(__name__)


class ModelLoader:
    """Starts loading when created; call it with the first photographs to get the finished model.

    Args:
        options: Batch, threads and precision.
        store: Cloud Storage.
        ref: The model.
        device: Where the forward passes are computed.
        memory: What the forward passes may take.
        expected: Images of the chunk that are left.
        stop: Told when there is work that a stop has to wait for.
    """

    def __init__(
        self,
        options: EngineOptions,
        store: Store,
        ref: ModelRef,
        device: DeviceType,
        *,
        memory: MemoryPlan,
        expected: int,
        stop: Stop,
    ) -> None:
        self._options = options
        self._store = store
        self._ref = ref
        self._device = device
        self._memory = memory
        self._expected = expected
        self._stop = stop
        self._network: Future[Network] = Future()
        threading.Thread(target=self._load, name="load", daemon=True).start()

    def __call__(self, images: Sequence[DecodedImage]) -> AdaptivePredictor:
        """Give the model, fitted to what it is to compute.

        Raises:
            CorruptModelError: The weights are not those that the reference promises.
            ModelLoadError: They do not fit the parameters.
            DeviceError: The GPU cannot be used, or has no memory for the model.
        """
        exact = self._network.result()
        with translate_device_errors(exact.device):
            return self._fit(exact, images)

    def _fit(self, exact: Network, images: Sequence[DecodedImage]) -> AdaptivePredictor:
        import torch

        from cloudseg_ops.engine.network.adaptive import AdaptivePredictor
        from cloudseg_ops.engine.network.precision import choose_precision
        from cloudseg_ops.engine.network.predict import Predictor
        from cloudseg_ops.engine.scheduling.tuning import BatchTuner

        on_gpu = exact.device.type == "cuda"
        cpus = self._options.threads or usable_cpus()
        workers, threads = (
            (min(_GPU_WORKERS, self._expected), 1) if on_gpu else workers_and_threads(cpus, self._expected)
        )
        torch.set_num_threads(workers * threads)
        network = choose_precision(self._ref, exact, self._options.precision, images, self._expected)
        each = _bytes_per_pixel(network, self._ref) * _WASTE
        spare = _spare_on_gpu(each) if on_gpu else self._memory.compute
        first = padded_size((images[0].height, images[0].width), network.stride)
        while workers > 1 and spare / workers < each * first[0] * first[1]:
            workers -= 1
        if not on_gpu:
            threads = max(threads, cpus // workers)
        most_pixels = max(1, int(spare / workers / each))
        _log.info(
            "%s on %s in %s: %d × %d threads, %s a megapixel, at most %.3g megapixels in a forward pass",
            describe(self._ref),
            network.device.type,
            network.precision,
            workers,
            threads,
            in_words(each * 1e6),
            most_pixels / 1e6,
        )
        tuner = BatchTuner(_GPU_START if on_gpu else 1, most_pixels, self._options.batch)
        start_gc()
        self._stop.begin_work()
        return AdaptivePredictor(Predictor(self._ref, network), tuner, self._stop, workers=workers, threads=threads)

    def _load(self) -> None:
        try:
            with ThreadPoolExecutor(1, "weights") as pool:
                weights = pool.submit(read_weights, self._store, self._ref)
                # Meanwhile: PyTorch's import takes seconds, and so does a GPU's first use.
                device = open_device(self._device)
                from cloudseg_ops.engine.network.loading import load_network

                data = weights.result()
                with translate_device_errors(device):
                    self._network.set_result(load_network(self._ref, data, device))
        except Exception as error:  # noqa: BLE001  raised where the model is asked for
            self._network.set_exception(error)


def workers_and_threads(cpus: int, expected: int) -> tuple[int, int]:
    """Divide the CPUs into workers, and threads per operation in each.

    Workers beat threads: two forward passes with a thread each never wait for one another.

    Args:
        cpus: CPUs to compute on.
        expected: Images left: more workers than that would idle.
    """
    workers = max(1, min(cpus // math.ceil(cpus / _MOST_WORKERS), expected))
    return workers, cpus // workers


def _spare_on_gpu(each: float) -> float:
    """Bytes of GPU memory for the forward passes.

    Args:
        each: Bytes that a pixel takes in one.

    Raises:
        DeviceError: Another process holds so much that no image would fit, and each would seem too large.
    """
    import torch

    # What trying has left in PyTorch's cache is free for the passes as well.
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    if free < total / 2 and free < each * _LEAST_GPU_PIXELS:
        raise DeviceError(
            f"the GPU cannot be used: {in_words(free)} of its {in_words(total)} are free, and one image of 512 × 512 "
            f"takes {in_words(each * _LEAST_GPU_PIXELS)}; another process holds the rest: give each pod its own GPU"
        )
    return free * _GPU_SHARE


def _bytes_per_pixel(network: Network, ref: ModelRef) -> float:
    import torch

    from cloudseg_ops.engine.network.memory_profile import bytes_per_pixel

    def images(side: int) -> torch.Tensor:
        side = math.ceil(side / network.stride) * network.stride
        shape = (1, ref.params.in_channels, side, side)
        return torch.zeros(shape, device=network.device).contiguous(memory_format=torch.channels_last)

    # On the CPU small ones, for it is done before the first mask. On a GPU they cost nothing, and those of cuDNN's
    # workspaces that do not grow with an image would outweigh small ones. At least two strides: a program may have been
    # exported for more than one.
    small = max(128 if network.device.type == "cuda" else 32, 2 * network.stride)
    return bytes_per_pixel(network.run, images(small), images(2 * small))
