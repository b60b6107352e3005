"""The engine's memory does not grow with the number of images."""

import os
import subprocess
import sys

import pytest

MIB = 2**20

_RUN = """
import json, sys, threading, time
from dataclasses import replace
from pathlib import Path
import torch
from cloudseg_ops.engine.chunk import run_chunk
from cloudseg_ops.engine.process.options import EngineOptions
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.contracts.uris import GcsUri
from tests.support.lab import model_ref, picture
from tests.engine.single_image_store import SingleImageStore
from tests.support.tiny import PARAMS, weights

images = int(sys.argv[1])
data = weights()
ref = model_ref(data, PARAMS, "gs://staging/weights.pt")
files = {"gs://staging/weights.pt": data, "gs://staging/model.json": json.dumps(ref.to_json()).encode()}
store = SingleImageStore(files, picture(16, 12), images)
staging = GcsUri("staging")
options = EngineOptions(
    chunk=staging / "chunk.jsonl", model=staging / "model.json", input=GcsUri("in"), output=GcsUri("out"),
    results=staging / "results.jsonl", io_processes=0, memory=4 * 2**30, precision="fp32",
)
assert run_chunk(options, store, Stop()).complete
assert store.masks == images
status = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024)
"""


def peak_of(images: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(images)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_peak_memory_does_not_grow_with_the_number_of_images() -> None:
    few, many = peak_of(500), peak_of(30_000)
    # Eight bytes per image are kept on purpose. Identical runs differ by up to 15 MiB, depending on how many images
    # wait between two stages; a record kept of each image would take more than 1 KB per image, 29 MiB.
    assert many - few < 20 * MIB
