from collections.abc import Iterator

import pytest
import torch

from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, FaultPlan
from tests.conftest import Buckets
from tests.engine.lab import Lab


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    # Tiny tensors: a second thread costs more than it gives, most of all on a busy machine.
    torch.set_num_threads(1)


@pytest.fixture
def lab(store: Store, buckets: Buckets) -> Lab:
    return Lab.open(store, buckets)


@pytest.fixture
def faults(emulator: Emulator) -> Iterator[FaultPlan]:
    yield emulator.faults
    emulator.faults.clear()
