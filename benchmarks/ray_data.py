"""Contender e, Ray Data's `map_batches` with a class, as in its guide to offline batch inference.

https://docs.ray.io/en/latest/data/batch_inference.html : the model is loaded in `__init__`, batches go through
`__call__`. Download, upload and delete are stages of the same dataset, which reserve no CPU because they mostly wait.
"""

from __future__ import annotations

import functools
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import ray

from benchmarks import steps
from benchmarks.job import Job, Timestamps

_BATCH = 8
_MIN_TASKS = 2
_LOAD_SECONDS = 300
Batch = dict[str, Any]


@functools.cache
def _client() -> Any:
    return steps.open_client()


def fetch(batch: Batch, job: Job) -> Batch:
    """Download and decode a batch's photographs, concurrently."""
    Timestamps(job.scratch).record_start()

    def one(name: str) -> np.ndarray[Any, Any]:
        return steps.pixels(steps.download(_client(), job.input, name))

    with ThreadPoolExecutor(_BATCH) as pool:
        return {"name": batch["name"], "image": list(pool.map(one, batch["name"]))}


def store(batch: Batch, job: Job) -> Batch:
    """Upload a batch's masks and delete their photographs, concurrently."""
    timestamps = Timestamps(job.scratch)

    def one(name: str, mask: bytes, height: int, width: int) -> None:
        classes = np.frombuffer(mask, np.uint8).reshape(height, width)
        steps.save(_client(), job.output, name, classes, steps.provenance_metadata(job))
        steps.delete(_client(), job.input, name)

    with ThreadPoolExecutor(_BATCH) as pool:
        list(pool.map(one, batch["name"], batch["mask"], batch["height"], batch["width"]))
    timestamps.record_end()
    return {"name": batch["name"]}


class Predict:
    """The guide's predictor; the only one to load torch."""

    def __init__(self, job: Job) -> None:
        from benchmarks.generous import prepare_network
        from benchmarks.models import plain_network

        self._job, self._params = job, job.model_params
        self._network = plain_network(job.network, self._params.arguments, job.weights)
        if job.generous:
            self._network = prepare_network(self._network)

    def __call__(self, batch: Batch) -> Batch:
        import torch

        from benchmarks import tensors
        from benchmarks.generous import grouped_forward

        images = [np.asarray(image, np.uint8) for image in batch["image"]]
        inputs = [tensors.prepare(image, self._params) for image in images]
        if self._job.generous:
            logits = grouped_forward(self._network, inputs)
        else:
            with torch.inference_mode():
                batches = [torch.stack(inputs)] if self._job.uniform else [one[None] for one in inputs]
                logits = [one for inputs in batches for one in self._network(inputs)]
        sizes = [(image.shape[0], image.shape[1]) for image in images]
        masks = [tensors.classify(one, h, w, self._params) for one, (h, w) in zip(logits, sizes, strict=True)]
        # Bytes, because a column of arrays with different shapes is slow.
        heights, widths = zip(*sizes, strict=True)
        return {
            "name": batch["name"],
            "height": list(heights),
            "width": list(widths),
            "mask": [mask.tobytes() for mask in masks],
        }


def main(path: str) -> None:
    job = Job.read(path)
    ray.init(num_cpus=job.cpus, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # Fetch nothing before the model is loaded, so that the time since the first fetch excludes the start.
    context.wait_for_min_actors_s = _LOAD_SECONDS
    names = steps.list_names(steps.open_client(), job.input)
    tasks = max(_MIN_TASKS, job.cpus // 2)
    # They mostly wait. Reserving a CPU for them would take it from the model, whose threads Ray counts.
    waiting: dict[str, Any] = {
        "batch_size": _BATCH,
        "num_cpus": 0,
        "compute": ray.data.TaskPoolStrategy(size=tasks),
        "fn_kwargs": {"job": job},
    }
    done = (
        ray.data.from_items([{"name": name} for name in names], override_num_blocks=math.ceil(len(names) / _BATCH))
        .map_batches(fetch, **waiting)
        .map_batches(
            Predict,
            batch_size=_BATCH,
            num_cpus=job.cpus,
            compute=ray.data.ActorPoolStrategy(size=1),
            fn_constructor_args=(job,),
        )
        .map_batches(store, **waiting)
    )
    for _ in done.iter_batches(batch_size=None):
        pass
    ray.shutdown()
