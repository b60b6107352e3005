import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# The example is a folder of scripts, not a package: its modules are imported as in train.py.
sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "cloud_unet"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: tiny networks are slower with several on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
