from collections.abc import Iterator

import pytest
import torch

from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, FaultPlan
from tests.conftest import Buckets
from tests.support.lab import Lab


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    # The tensors are tiny: a second thread would cost more than it saves, especially on a busy machine.
    torch.set_num_threads(1)


@pytest.fixture
def lab(store: Store, buckets: Buckets) -> Lab:
    return Lab.open(store, buckets)


@pytest.fixture
def faults(emulator: Emulator) -> Iterator[FaultPlan]:
    yield emulator.faults
    emulator.faults.clear()
