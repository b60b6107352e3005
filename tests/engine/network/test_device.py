import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cloudseg_ops.contracts.errors import BadImageError, ChunkUnfinishedError, DeviceError
from cloudseg_ops.engine.network import device
from cloudseg_ops.engine.network.device import (
    choose_device,
    device_failure,
    is_device_failure,
    is_out_of_memory,
    open_device,
    translate_device_errors,
)
from tests.support.lab import Lab, run

GPU = torch.device("cuda")
on_cpu_build = pytest.mark.skipif(bool(torch.version.cuda), reason="this PyTorch is a CUDA build")


@pytest.fixture
def _visible_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine whose GPU is visible but cannot be used: here PyTorch has no CUDA."""
    node = tmp_path / "nvidiactl"
    node.touch()
    monkeypatch.setattr(device, "_CONTROL_NODE", node)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("_visible_gpu")
def test_a_visible_gpu_is_chosen_unless_it_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("auto") == "cuda"
    assert choose_device("cpu") == "cpu"
    for hidden in ("", "-1", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert choose_device("auto") == "cpu"
        assert choose_device("cuda") == "cuda"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8d3e")
    assert choose_device("auto") == "cuda"


def test_without_a_gpu_the_cpu_is_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device, "_CONTROL_NODE", tmp_path / "nvidiactl")
    assert choose_device("auto") == "cpu"
    assert choose_device("cuda") == "cuda"


def test_the_cpu_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert open_device("cpu") == torch.device("cpu")
    assert re.search(r"computing on the CPU: \S+", caplog.text)


@on_cpu_build
def test_the_error_for_a_pytorch_without_cuda_says_what_to_do() -> None:
    with pytest.raises(DeviceError) as refused:
        open_device("cuda")
    message = str(refused.value)
    assert "cannot be used" in message
    assert "Torch not compiled with CUDA" in message
    assert "VARIANT=cuda" in message
    assert "CLOUDSEG_DEVICE=cpu" in message


@on_cpu_build
@pytest.mark.usefixtures("_visible_gpu")
def test_a_chunk_does_not_fall_back_to_the_cpu(lab: Lab) -> None:
    lab.write_chunk(lab.put_many(3))
    with pytest.raises(DeviceError, match="the GPU cannot be used"):
        run(lab)
    assert not list(lab.store.list_objects(lab.options.output))
    assert lab.outcomes() == {}
    lab.set(device="cpu")
    run(lab)
    assert set(lab.outcomes().values()) == {"done"}


@on_cpu_build
def test_a_process_that_cannot_use_its_gpu_exits_with_the_reason(lab: Lab, emulator: object) -> None:
    lab.write_chunk(lab.put_many(2))
    done = subprocess.run(
        [sys.executable, "-m", "cloudseg_ops.engine", *lab.arguments(**{"--device": "cuda"})],
        env={**os.environ, "STORAGE_EMULATOR_HOST": emulator.url},  # type: ignore[attr-defined]
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "ERROR DeviceError: the GPU cannot be used" in done.stdout.splitlines()[-1]
    assert not list(lab.store.list_objects(lab.options.output))


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (RuntimeError("Found no NVIDIA driver on your system."), "LD_LIBRARY_PATH"),
        (RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."), "gpu-driver-version"),
        (torch.AcceleratorError("CUDA error: no kernel image is available for execution"), "CLOUDSEG_GPU_TYPE"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB."), "its own GPU"),
        (RuntimeError("No CUDA GPUs are available"), "nvidia.com/gpu"),
        (torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered"), "Xid"),
    ],
)
def test_gpu_errors_say_what_to_do(error: Exception, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "init", fail)
    with pytest.raises(DeviceError) as raised:
        open_device("cuda")
    assert str(error) in str(raised.value)
    assert remedy in str(raised.value).partition("PyTorch")[2]


def test_later_gpu_errors_are_translated_too() -> None:
    with (
        pytest.raises(DeviceError, match=r"OutOfMemoryError: CUDA out of memory.*its own GPU"),
        translate_device_errors(GPU),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(DeviceError, match="Xid"), translate_device_errors(GPU):
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")


def test_other_errors_are_not_translated() -> None:
    for error in (BadImageError("broken"), RuntimeError("shapes cannot be multiplied"), DeviceError("known")):
        with pytest.raises(type(error)) as raised, translate_device_errors(GPU):
            raise error
        assert raised.value is error
    with pytest.raises(MemoryError), translate_device_errors(torch.device("cpu")):
        raise MemoryError


def test_out_of_memory_is_distinguished_from_other_errors() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("could not create a memory object"))
    assert is_out_of_memory(torch.AcceleratorError("CUDA error: out of memory"))
    assert is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert is_out_of_memory(RuntimeError("FIND was unable to find an engine to execute this computation"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))


def test_a_real_failed_allocation_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as failed:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(failed.value)


def test_a_failed_gpu_is_distinguished_from_out_of_memory() -> None:
    assert is_device_failure(torch.AcceleratorError("CUDA error: device-side assert triggered"))
    assert is_device_failure(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not is_device_failure(torch.AcceleratorError("CUDA error: out of memory"))
    assert not is_device_failure(RuntimeError("shapes cannot be multiplied"))
    assert not is_device_failure(ChunkUnfinishedError("CUDA error in our message"))
    assert "a retry does the rest" in str(device_failure(RuntimeError("CUDA error: unspecified launch failure")))
