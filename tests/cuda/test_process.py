"""The engine as a process on a GPU: what it logs at its start, how it stops, and how GPU failures end a chunk."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import pytest
import torch

from cloudseg_ops.engine.network.device import DeviceType
from cloudseg_ops.engine.network.networks import UNet
from gcs_emulator import Emulator
from tests.cuda.samples import model, photograph
from tests.support.engine_process import ended, masks, wait_for_masks
from tests.support.lab import Lab, state_bytes, unet_params
from tests.support.processes import Start, starting

pytestmark = pytest.mark.cuda


@pytest.fixture
def start(emulator: Emulator) -> Iterator[Start]:
    with starting(STORAGE_EMULATOR_HOST=emulator.url) as run:
        yield run


def engine(lab: Lab, *more: str, **options: str) -> list[str]:
    """The engine's command line; underscores in option names become hyphens."""
    given = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    return ["-m", "cloudseg_ops.engine", *lab.arguments(**given), *more]


def stage_chunk(lab: Lab, images: int = 4) -> None:
    ref, weights = model("unet")
    lab.use_model(weights, ref.params)
    lab.write_chunk([lab.put(f"{index}.jpg", photograph(index, 128, 96)) for index in range(images)])


def test_log_names_the_device(kind: DeviceType, lab: Lab, start: Start) -> None:
    stage_chunk(lab)
    code, lines = ended(start(*engine(lab, device=kind, log_format="json")), within=120)
    assert code == 0, lines
    (device_event,) = [event for line in lines if (event := json.loads(line))["event"] == "device"]
    assert device_event["device"]
    if kind == "cuda":
        assert device_event["capability"].count(".") == 1
        assert device_event["memory_bytes"] >= device_event["free_bytes"] > 2**30
        assert device_event["driver"]
        assert device_event["cudnn"] > 0


def test_sigterm_during_batches_stops_in_time(kind: DeviceType, lab: Lab, start: Start) -> None:
    # More than are in progress at once: those are finished.
    total = 300 if kind == "cuda" else 60
    if kind == "cuda":
        # Float32 on purpose: it takes a tenth of a second per image, so the signal arrives while the GPU computes.
        torch.manual_seed(0)
        large = unet_params(arguments={"width": 64, "depth": 4})
        lab.use_model(state_bytes(UNet(3, 1, 64, 4).eval()), large)
        data = photograph(0, 2048, 2048)
    else:
        stage_chunk(lab)
        data = photograph(0, 512, 512)
    lab.write_chunk([lab.put(f"{index:03}.jpg", data) for index in range(total)])
    process = start(*engine(lab, device=kind, precision="fp32", batch="4", downloads="4"))
    wait_for_masks(lab, process)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, lines = ended(process, within=25)
    assert time.monotonic() - began < 20
    assert code == 143, lines
    results = lab.results()
    assert 0 < len(results) == masks(lab) < total
    assert not lab.summary().complete


def test_missing_gpu_fails_the_chunk(kind: DeviceType, lab: Lab, start: Start) -> None:
    stage_chunk(lab)
    code, lines = ended(start(*engine(lab, device="cuda"), CUDA_VISIBLE_DEVICES="99"), within=120)
    assert code == 1, lines
    assert "DeviceError: the GPU cannot be used" in lines[-1]
    assert masks(lab) == 0
    assert lab.results() == []


def test_cpu_is_used_if_requested(kind: DeviceType, lab: Lab, start: Start) -> None:
    stage_chunk(lab)
    code, lines = ended(start(*engine(lab, device="cpu")), within=120)
    assert code == 0, lines
    assert any("computing on the CPU" in line for line in lines)
    assert masks(lab) == 4


_HOG = """
import sys, torch
free = torch.cuda.mem_get_info()[0]
held = torch.empty(free - int(sys.argv[1]) * 2**20, dtype=torch.uint8, device="cuda")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("left", [100, 700], ids=["none for a context", "a little"])
def test_gpu_memory_held_by_another_process_fails_the_chunk(
    gpu: torch.device, lab: Lab, start: Start, left: int
) -> None:
    stage_chunk(lab)
    large = unet_params(arguments={"width": 64, "depth": 4})
    lab.use_model(state_bytes(UNet(3, 1, 64, 4).eval()), large)
    torch.cuda.empty_cache()
    hog = start("-c", _HOG, str(left))
    assert hog.stdout
    assert hog.stdout.readline() == "held\n"
    code, lines = ended(start(*engine(lab, device="cuda")), within=120)
    assert code == 1, lines
    assert "DeviceError" in lines[-1]
    assert masks(lab) == 0
    assert lab.results() == []


_FAILING = """
import sys, torch
from cloudseg_ops.engine.network.adaptive import AdaptivePredictor
from cloudseg_ops.engine.network.predict import Predictor
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.engine.scheduling.tuning import BatchTuner
from cloudseg_ops.contracts.errors import DeviceError
from tests.cuda.samples import predictor, scene

there = predictor("unet", torch.device("cuda"))

class Failing(Predictor):
    def _logits(self, images):
        torch._assert_async(torch.zeros(1, device="cuda", dtype=torch.bool))
        return super()._logits(images)

failing = Failing(there._ref, there.network)
adaptive = AdaptivePredictor(failing, BatchTuner(4, 10**9), Stop(), workers=1, threads=1)
try:
    adaptive.predict([scene(0, 64, 64)])
except DeviceError as error:
    print(error)
"""


def test_gpu_failure_is_distinguished_from_a_bad_image(gpu: torch.device, start: Start) -> None:
    output, errors = start("-c", _FAILING).communicate(timeout=120)
    assert "the GPU failed while it computed" in output, errors
