"""Contender d, Apache Beam's RunInference, as in its guide for PyTorch.

https://beam.apache.org/documentation/ml/about-ml/ : a keyed model handler with the model's class and state dict, the
photographs' names as keys. Download, upload and delete are DoFns with a client made in `setup`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import torch
from apache_beam.ml.inference.base import KeyedModelHandler, PredictionResult, RunInference
from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerTensor
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks import steps, tensors
from benchmarks.generous import grouped_forward, prepare_network
from benchmarks.job import Job, Timestamps
from benchmarks.models import new_network, plain_network

Key = tuple[str, int, int]
_BATCH = 8
_MIN_THREADS = 8


class Fetch(beam.DoFn):  # type: ignore[misc]
    """Maps a name to (name, height, width) and the network's input."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def setup(self) -> None:
        self._client = steps.open_client()
        self._timestamps = Timestamps(self._job.scratch)
        self._params = self._job.model_params

    def process(self, name: str) -> Iterator[tuple[Key, torch.Tensor]]:
        self._timestamps.record_start()
        image = steps.pixels(steps.download(self._client, self._job.input, name))
        yield (name, image.shape[0], image.shape[1]), tensors.prepare(image, self._params)


class Store(beam.DoFn):  # type: ignore[misc]
    """Uploads a mask, then deletes its photograph."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def setup(self) -> None:
        self._client = steps.open_client()
        self._timestamps = Timestamps(self._job.scratch)
        self._params = self._job.model_params

    def process(self, keyed: tuple[Key, PredictionResult]) -> None:
        (name, height, width), result = keyed
        classes = tensors.classify(result.inference, height, width, self._params)
        steps.save(self._client, self._job.output, name, classes, steps.provenance_metadata(self._job))
        steps.delete(self._client, self._job.input, name)
        self._timestamps.record_end()


class Handler(PytorchModelHandlerTensor):  # type: ignore[misc]
    """Beam's model handler, which prepares the network if the job says so."""

    def __init__(self, job: Job, **more: Any) -> None:
        super().__init__(
            state_dict_path=job.weights,
            model_class=new_network,
            model_params={"network": job.network, "arguments": job.model_params.arguments},
            **more,
        )
        self._job = job

    def load_model(self) -> torch.nn.Module:
        job = self._job
        # Beam has no loader for exported programs; this is PyTorch's.
        program = job.network == "program"
        loaded: torch.nn.Module = plain_network(job.network, {}, job.weights) if program else super().load_model()
        return prepare_network(loaded) if job.generous else loaded


def infer_by_shape(
    batch: Sequence[torch.Tensor],
    model: torch.nn.Module,
    device: str,  # noqa: ARG001  Beam's signature
    inference_args: dict[str, Any] | None = None,  # noqa: ARG001
    model_id: str | None = None,
) -> list[PredictionResult]:
    """Replaces Beam's inference function in a generous job, because that cannot stack tensors of different shapes."""
    outputs = grouped_forward(model, batch)
    return [PredictionResult(image, logits, model_id) for image, logits in zip(batch, outputs, strict=True)]


def handler(job: Job) -> KeyedModelHandler:
    """Batch if all images have one size; otherwise do not, as Beam's guide says for tensors of different shapes."""
    if job.generous:
        return KeyedModelHandler(Handler(job, max_batch_size=_BATCH, inference_fn=infer_by_shape))
    return KeyedModelHandler(Handler(job, max_batch_size=_BATCH if job.uniform else 1))


def main(path: str, *options: str) -> None:
    job = Job.read(path)
    names = steps.list_names(steps.open_client(), job.input)
    threads = max(_MIN_THREADS, 2 * job.cpus)
    default_options = (
        "--runner=DirectRunner",
        "--direct_running_mode=multi_threading",
        f"--direct_num_workers={threads}",
    )
    given = options or default_options
    with beam.Pipeline(options=PipelineOptions(list(given))) as pipeline:
        (
            pipeline
            | "names" >> beam.Create(names)
            | "spread" >> beam.Reshuffle()
            | "download" >> beam.ParDo(Fetch(job))
            | "forward" >> RunInference(handler(job))
            | "upload and delete" >> beam.ParDo(Store(job))
        )
