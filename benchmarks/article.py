"""Contender c, the article's loop: list the objects; for each one download, forward, save, upload, delete.

It processes one image at a time, in float32, with the unmodified network and torch's default number of threads, on a
GPU if there is one.
"""

from __future__ import annotations

import torch

from benchmarks import steps, tensors
from benchmarks.job import Job, Timestamps
from benchmarks.models import plain_network


def main(path: str) -> None:
    job, timestamps = Job.read(path), Timestamps(Job.read(path).scratch)
    params = job.model_params
    client = steps.open_client()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = plain_network(job.network, params.arguments, job.weights).to(device)
    for name in steps.list_names(client, job.input):
        timestamps.record_start()
        image = steps.pixels(steps.download(client, job.input, name))
        with torch.inference_mode():
            logits = network(tensors.prepare(image, params)[None].to(device))[0].cpu()
        classes = tensors.classify(logits, image.shape[0], image.shape[1], params)
        steps.save(client, job.output, name, classes, steps.provenance_metadata(job))
        steps.delete(client, job.input, name)
        timestamps.record_end()
