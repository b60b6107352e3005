"""Programs that a newer PyTorch exported (programs/make.py) give its outputs in the engine's PyTorch."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.engine.network.loading import load_network
from tests.engine.network.programs.make import images
from tests.support.lab import model_ref

FOLDER = Path(__file__).parent / "programs"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text())
PROGRAMS: dict[str, Any] = EXPECTED["programs"]


def test_the_programs_are_of_a_newer_pytorch() -> None:
    newer, engine = EXPECTED["torch"], torch.__version__
    assert tuple(map(int, newer.split(".")[:2])) > tuple(map(int, engine.split(".")[:2]))
    assert sorted(path.stem for path in FOLDER.glob("*.pt2")) == sorted(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_newer_program_gives_its_outputs_in_the_engine(name: str) -> None:
    weights = (FOLDER / f"{name}.pt2").read_bytes()
    params = ModelParams.parse(PROGRAMS[name]["model"], name)
    network = load_network(model_ref(weights, params), weights, torch.device("cpu"))
    for run in PROGRAMS[name]["runs"]:
        with torch.inference_mode():
            found = network.raw(images(*run["size"]))
        assert list(found.shape) == run["shape"]
        sample = found.flatten()[:: found.numel() // 16]
        assert torch.allclose(sample, torch.tensor(run["values"]), atol=1e-4)
