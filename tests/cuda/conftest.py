"""Fixtures of the tests on a GPU; with `CLOUDSEG_REHEARSE=1`, the CPU runs those that it can."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from cloudseg_ops.engine.network.device import DeviceType, open_device
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.support.lab import Lab

_REHEARSING = os.environ.get("CLOUDSEG_REHEARSE") == "1"


@pytest.fixture(scope="session")
def kind() -> DeviceType:
    if torch.cuda.is_available():
        return "cuda"
    if not _REHEARSING:
        pytest.skip("no GPU that PyTorch can use; CLOUDSEG_REHEARSE=1 uses the CPU instead")
    return "cpu"


@pytest.fixture(scope="session")
def device(kind: DeviceType) -> torch.device:
    if kind == "cpu":
        torch.set_num_threads(2)
    return open_device(kind)


@pytest.fixture
def gpu(device: torch.device) -> Iterator[torch.device]:
    """A GPU whose memory a test may limit."""
    if device.type != "cuda":
        pytest.skip("needs CUDA, which a rehearsal does not have")
    yield device
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


@pytest.fixture
def count(kind: DeviceType) -> int:
    """How many small images a test uses: fewer in a rehearsal."""
    return 1000 if kind == "cuda" else 60


@pytest.fixture
def lab(store: Store, buckets: Buckets, kind: DeviceType) -> Lab:
    lab = Lab.open(store, buckets)
    lab.set(device=kind, batch=None, downloads=8, uploads=8)
    return lab
