"""Puts the engine's parts together for the images of a chunk that are left, and runs them."""

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
from cloudseg_ops.engine.network.model_loader import ModelLoader
from cloudseg_ops.engine.process.options import EngineOptions, usable_cpus
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.engine.scheduling.autoscaler import IoAutoscaler
from cloudseg_ops.engine.scheduling.compute_workers import ComputeWorkers
from cloudseg_ops.engine.scheduling.pipeline import Bounds, Pipeline
from cloudseg_ops.engine.scheduling.result_log import ResultLog
from cloudseg_ops.storage import Store

_LIBRARIES = 700 * 1024 * 1024
"""What Python, PyTorch for the CPU and the client take, with room for their caches (measured: 0.35–0.5 GiB)."""
_BATCHES_AHEAD = 6
"""For each worker: one is computed, and some are ready; sizes differ, and images come in bursts."""


def segment(
    options: EngineOptions, store: Store, stop: Stop, *, ref: ModelRef, result_log: ResultLog, items: Iterator[Item]
) -> None:
    """Work through the images that are left.

    Args:
        options: What to do.
        store: Cloud Storage.
        stop: Where a request to stop arrives.
        ref: The run's model.
        result_log: The chunk's account.
        items: The images.
    """
    device = choose_device(options.device)
    memory = plan_memory(options.memory or memory_limit(), _LIBRARIES, on_gpu=device == "cuda")
    left = result_log.total - result_log.accounted
    loader = ModelLoader(options, store, ref, device, memory=memory, expected=left, stop=stop)
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
                    pool.size * (options.downloads + options.uploads) + ahead_of(pipeline.workers, options.downloads)
                ),
                lambda waiting: fetches(
                    pool.size * options.downloads, waiting, ahead_of(pipeline.workers, options.downloads)
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


def ahead_of(workers: ComputeWorkers, downloads: int) -> int:
    """How many decoded images may be with the network or wait for it; at first as many as one turn brings."""
    return max(downloads, _BATCHES_AHEAD * workers.count * workers.largest_batch)


def fetches(downloads: int, waiting: int, ahead: int) -> int:
    """How many images may be on their way in: all that can be while none waits, fewer the more do.

    So storage is kept busy where it is the bound, and where the network is, memory is not filled with images that it
    will not come to for long, and a stop loses little.

    Args:
        downloads: Threads that download.
        waiting: Decoded images with the network, or waiting for it.
        ahead: How many of these are enough.
    """
    return math.ceil(downloads * max(0.0, 1 - waiting / ahead))
