"""A missing, too old or broken driver fails a chunk with a remedy; needs PyTorch's CUDA build, but no GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.cuda

_OPEN = """
from cloudseg_ops.engine.network.device import open_device
from cloudseg_ops.contracts.errors import DeviceError
try:
    open_device("cuda")
except DeviceError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a libcuda.so.1 whose functions fail."""
    if not torch.version.cuda:
        pytest.skip("needs PyTorch's CUDA build")
    if not (compiler := shutil.which("cc") or shutil.which("gcc")):
        pytest.skip("no C compiler on the PATH")
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("driver.c")
    name = "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, source], check=True)
    return folder


@pytest.mark.parametrize(
    ("variables", "found", "remedy"),
    [
        ({"DRIVER_VERSION": "11040"}, "driver on your system is too old (found version 11040)", "gpu-driver-version"),
        ({"DRIVER_INIT": "803"}, "unsupported display driver", "does not match the node's driver"),
        ({"DRIVER_INIT": "100"}, "No CUDA GPUs are available", "nvidia.com/gpu"),
        ({"DRIVER_INIT": "999"}, "CUDA unknown error", "Xid"),
        ({"DRIVER_INIT": "2"}, "out of memory", "its own GPU"),
    ],
    ids=["too old", "of another version", "no GPU", "broken", "no memory"],
)
def test_driver_errors_have_a_remedy(driver: Path, variables: dict[str, str], found: str, remedy: str) -> None:
    libraries = os.pathsep.join(filter(None, (str(driver), os.environ.get("LD_LIBRARY_PATH"))))
    done = subprocess.run(
        [sys.executable, "-c", _OPEN],
        env={**os.environ, **variables, "LD_LIBRARY_PATH": libraries},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "the GPU cannot be used" in done.stdout, done.stderr
    assert found in done.stdout
    assert remedy in done.stdout.partition("): ")[2]
