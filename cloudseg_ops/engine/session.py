"""Assembles the engine's parts, and runs them on the remaining images of a chunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.decode import check_decoders
from cloudseg_ops.engine.images.sizes import stride_of
from cloudseg_ops.engine.io.helper import ProcessIo, Setup
from cloudseg_ops.engine.io.image_work import ImageWork
from cloudseg_ops.engine.io.items import Item
from cloudseg_ops.engine.io.preview_writer import PreviewWriter
from cloudseg_ops.engine.io.threads import ThreadIo
from cloudseg_ops.engine.io.worker_pool import IoWorkerPool
from cloudseg_ops.engine.memory.plan import MemoryPlan, memory_limit, plan_memory
from cloudseg_ops.engine.network.device import choose_device
from cloudseg_ops.engine.network.model_loader import ModelLoader, OnLoaded
from cloudseg_ops.engine.process.options import EngineOptions, usable_cpus
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.engine.scheduling.autoscaler import IoAutoscaler
from cloudseg_ops.engine.scheduling.compute_workers import ComputeWorkers
from cloudseg_ops.engine.scheduling.pipeline import Bounds, Pipeline
from cloudseg_ops.engine.scheduling.result_log import ResultLog
from cloudseg_ops.storage import Store

_LIBRARIES = 700 * 1024 * 1024
"""Memory for Python, PyTorch for the CPU and the storage client, with room for caches (measured: 0.35–0.5 GiB)."""
_BATCHES_AHEAD = 6
"""Decoded batches per worker: one is computed and several are ready, because sizes vary and images come in bursts."""


def segment(
    options: EngineOptions,
    store: Store,
    stop: Stop,
    *,
    ref: ModelRef,
    result_log: ResultLog,
    items: Iterator[Item],
    on_loaded: OnLoaded | None = None,
) -> None:
    """Segment the remaining images of a chunk.

    Args:
        options: The engine's options.
        store: Cloud Storage.
        stop: The request to stop.
        ref: The run's model.
        result_log: The chunk's result log.
        items: The images to segment.
        on_loaded: Called with the loaded model.
    """
    device = choose_device(options.device)
    memory = plan_memory(options.memory or memory_limit(), _LIBRARIES, on_gpu=device == "cuda")
    left = result_log.total - result_log.accounted
    loader = ModelLoader(options, store, ref, device, memory=memory, expected=left, stop=stop, on_loaded=on_loaded)
    check_decoders()
    pool = _pool(options, store, ref, memory, on_gpu=device == "cuda")
    previews = PreviewWriter(options, store, ref)
    try:
        pipeline = Pipeline(
            pool,
            lambda expecting, done: ComputeWorkers(loader, stop, expecting, done),
            stride=stride_of(ref.params),
            record=result_log.record,
            preview=previews.offer,
            stop=stop,
            gives_up=lambda: result_log.gives_up,
            bounds=Bounds(
                lambda: (
                    pool.size * (options.downloads + options.uploads) + max_decoded(pipeline.workers, options.downloads)
                ),
                lambda waiting: max_fetching(
                    pool.size * options.downloads, waiting, max_decoded(pipeline.workers, options.downloads)
                ),
                memory.downloads,
                memory.images,
            ),
        )
        with IoAutoscaler(
            pool, pipeline.workers, result_log, cpus=usable_cpus() if options.io_processes is None else 0
        ):
            pipeline.run(items)
    finally:
        previews.close(wait=not stop.requested)


def _pool(options: EngineOptions, store: Store, ref: ModelRef, memory: MemoryPlan, *, on_gpu: bool) -> IoWorkerPool:
    setup = Setup(options, ref, memory.largest_image)

    def spawn(on_ready: Callable[[], None]) -> ProcessIo:
        return ProcessIo(setup, on_ready)

    own = ThreadIo(ImageWork(options, store, ref, memory.largest_image), options.downloads, options.uploads)
    pool = IoWorkerPool(own, spawn, relieve=on_gpu)
    for _ in range(options.io_processes or 0):
        pool.grow()
    return pool


def max_decoded(workers: ComputeWorkers, downloads: int) -> int:
    """Return how many decoded images may be queued for or in the network; at least one per download thread."""
    return max(downloads, _BATCHES_AHEAD * workers.count * workers.largest_batch)


def max_fetching(downloads: int, waiting: int, ahead: int) -> int:
    """Return how many images may be downloaded or decoded at a time: the more decoded images wait, the fewer.

    If Cloud Storage is the bottleneck, all download threads stay busy. If the network is, memory does not fill up with
    waiting images, and a stop loses little work.

    Args:
        downloads: Number of threads that download.
        waiting: Number of decoded images queued for or in the network.
        ahead: Number of such images at which downloads pause.
    """
    return math.ceil(downloads * max(0.0, 1 - waiting / ahead))
