"""Loads a chunk's model while the first images are downloaded, and fits it to the device and its memory."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from cloudseg_ops.contracts.errors import DeviceError, ModelLoadError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.quantities import format_bytes
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.memory.plan import MemoryPlan
from cloudseg_ops.engine.memory.process_memory import start_gc
from cloudseg_ops.engine.network.device import DeviceType, open_device, translate_device_errors
from cloudseg_ops.engine.network.reference import describe, read_weights
from cloudseg_ops.engine.process.options import EngineOptions, usable_cpus
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.storage import Store

if TYPE_CHECKING:
    from cloudseg_ops.engine.network.adaptive import AdaptivePredictor
    from cloudseg_ops.engine.network.network import Network

_MAX_WORKERS = 8
"""Maximum number of workers on the CPU, each of which needs its own activations; further CPUs become threads."""
_GPU_WORKERS = 2
"""Two workers: one copies while the other computes."""
_GPU_START = 4
"""Initial batch size on a GPU, which a single image would not fill."""
_GPU_SHARE = 0.9
"""Share of the GPU's free memory to use; the rest is for the workspaces of convolutions."""
_MIN_GPU_PIXELS = 512 * 512
_WASTE = 1.15
"""Factor for the memory that allocators and oneDNN's scratchpads take in addition to tensors."""

_log = logging.getLogger(__name__)

OnLoaded = Callable[["Network", "Network", Sequence[DecodedImage]], None]
"""Called once, before the first forward pass of a chunk, with the network in float32, the network in the precision that
was chosen, and the first images."""


class ModelLoader:
    """Starts loading the model when constructed; call it with the first images to get the predictor.

    Args:
        options: Batch size, threads and precision.
        store: Cloud Storage.
        ref: The model.
        device: The device for the forward passes.
        memory: The memory plan, which limits the forward passes on the CPU.
        expected: Number of images left in the chunk.
        stop: The request to stop; from the end of loading on, it lets work in flight finish.
        on_loaded: Called with what was loaded.
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
        on_loaded: OnLoaded | None = None,
    ) -> None:
        self._options = options
        self._store = store
        self._ref = ref
        self._device = device
        self._memory = memory
        self._expected = expected
        self._stop = stop
        self._on_loaded = on_loaded
        self._network: Future[Network] = Future()
        threading.Thread(target=self._load, name="load", daemon=True).start()

    def __call__(self, images: Sequence[DecodedImage]) -> AdaptivePredictor:
        """Wait for the model and return a predictor fitted to these images.

        Raises:
            CorruptModelError: The weights do not match the checksum of the model reference.
            ModelLoadError: The weights do not fit the parameters.
            DeviceError: The GPU cannot be used, or has too little free memory for the model.
        """
        exact = self._network.result()
        with translate_device_errors(exact.device):
            return self._fit(exact, images)

    def _fit(self, exact: Network, images: Sequence[DecodedImage]) -> AdaptivePredictor:
        import torch

        from cloudseg_ops.engine.network.adaptive import AdaptivePredictor
        from cloudseg_ops.engine.network.compiling import with_compilation
        from cloudseg_ops.engine.network.output_check import check_outputs
        from cloudseg_ops.engine.network.precision import choose_precision
        from cloudseg_ops.engine.network.predict import Predictor
        from cloudseg_ops.engine.scheduling.tuning import BatchTuner

        on_gpu = exact.device.type == "cuda"
        cpus = self._options.threads or usable_cpus()
        workers, threads = (
            (min(_GPU_WORKERS, self._expected), 1) if on_gpu else workers_and_threads(cpus, self._expected)
        )
        torch.set_num_threads(workers * threads)
        check_outputs(self._ref, exact, images)
        network = choose_precision(self._ref, exact, self._options.precision, images, self._expected)
        each = _bytes_per_pixel(network, self._ref) * _WASTE
        spare = _spare_on_gpu(each) if on_gpu else self._memory.compute
        work = Predictor(self._ref, network).inputs.work((images[0].height, images[0].width))
        first = work.pixels * network.fewest
        while workers > 1 and spare / workers < each * first:
            workers -= 1
        if not on_gpu:
            threads = max(threads, cpus // workers)
        max_pixels = max(1, int(spare / workers / each))
        _log.info(
            "%s on %s in %s: %d workers × %d threads, %s per megapixel, at most %.3g megapixels in a forward pass",
            describe(self._ref),
            network.device.type,
            network.precision,
            workers,
            threads,
            format_bytes(each * 1e6),
            max_pixels / 1e6,
        )
        network = with_compilation(network, self._options.compile, self._expected)
        tuner = BatchTuner(max(_GPU_START if on_gpu else 1, network.fewest), max_pixels, self._options.batch)
        start_gc()
        if self._on_loaded:
            self._on_loaded(exact, network, images)
        self._stop.begin_work()
        return AdaptivePredictor(Predictor(self._ref, network), tuner, self._stop, workers=workers, threads=threads)

    def _load(self) -> None:
        try:
            with ThreadPoolExecutor(1, "weights") as pool:
                weights = pool.submit(read_weights, self._store, self._ref)
                # During the download: importing PyTorch takes seconds, and so does the first use of a GPU.
                device = open_device(self._device)
                from cloudseg_ops.engine.network.loading import load_network

                data = weights.result()
                with translate_device_errors(device):
                    self._network.set_result(load_network(self._ref, data, device))
        except Exception as error:  # noqa: BLE001  raised by `__call__`
            self._network.set_exception(error)


def workers_and_threads(cpus: int, expected: int) -> tuple[int, int]:
    """Divide the CPUs into workers and PyTorch threads per worker.

    Prefers workers: two forward passes with one thread each do not wait for one another.

    Args:
        cpus: Number of CPUs to use.
        expected: Number of images left; further workers would be idle.

    Returns:
        The number of workers, and the number of threads of each.
    """
    workers = max(1, min(cpus // math.ceil(cpus / _MAX_WORKERS), expected))
    return workers, cpus // workers


def _spare_on_gpu(each: float) -> float:
    """Return the bytes of GPU memory available for forward passes.

    Args:
        each: Bytes that a forward pass takes per pixel.

    Raises:
        DeviceError: Another process holds so much memory that every image would seem too large.
    """
    import torch

    # Return to the GPU what PyTorch has cached since the precision was chosen.
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    if free < total / 2 and free < each * _MIN_GPU_PIXELS:
        raise DeviceError(
            f"the GPU cannot be used: {format_bytes(free)} of its {format_bytes(total)} are free, and an image of "
            f"512 × 512 pixels takes {format_bytes(each * _MIN_GPU_PIXELS)}; another process holds the rest: "
            "give each pod its own GPU"
        )
    return free * _GPU_SHARE


def _bytes_per_pixel(network: Network, ref: ModelRef) -> float:
    """Measure the memory of a forward pass.

    Raises:
        ModelLoadError: The network fails on images of every size that is tried.
    """
    import torch

    from cloudseg_ops.engine.network.device import is_device_failure, is_out_of_memory
    from cloudseg_ops.engine.network.memory_profile import bytes_per_pixel
    from cloudseg_ops.engine.network.reference import load_error

    def images(height: int, width: int) -> torch.Tensor:
        height, width = (math.ceil(side / network.stride) * network.stride for side in (height, width))
        shape = (network.fewest, ref.params.in_channels, height, width)
        return torch.zeros(shape, device=network.device).contiguous(memory_format=torch.channels_last)

    if network.size:
        return bytes_per_pixel(network.run, images(network.size.height, network.size.width))
    # Small on the CPU, where measuring delays the first mask; larger on a GPU, where cuDNN workspaces of constant
    # size would distort a small measurement. At least two strides: some exported programs reject one.
    small = max(128 if network.device.type == "cuda" else 32, 2 * network.stride, *network.least)
    failure: Exception | None = None
    for side in (small, 4 * small):
        try:
            return bytes_per_pixel(network.run, images(side, side), images(2 * side, 2 * side))
        except Exception as error:  # programs reject sizes with any exception
            if isinstance(error, ModelLoadError) or is_device_failure(error) or is_out_of_memory(error):
                raise
            failure = failure or error
    raise load_error(
        ref, failure, f"a network for images of {small} × {small} pixels, and of larger multiples of size_multiple"
    )
