"""docs/extending.md, as a person would follow it."""

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from cloudseg_ops.contracts.architectures import ARCHITECTURES
from cloudseg_ops.contracts.errors import ModelLoadError, ModelParamsError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.predict import Predictor
from tests.engine.lab import model_ref, noise

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text("utf-8")
MODULE, ENTRY = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(PARAMS,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
CPU = torch.device("cpu")


@pytest.fixture
def section(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The `model` section of the page, with its architecture in place."""
    module = ModuleType("my_networks")
    exec(MODULE, module.__dict__)
    monkeypatch.setitem(sys.modules, "my_networks", module)
    before = dict(ARCHITECTURES)
    exec(ENTRY, {})
    yield yaml.safe_load(PARAMS)["model"]
    ARCHITECTURES.clear()
    ARCHITECTURES.update(before)


def weights(section: dict[str, Any]) -> bytes:
    torch.manual_seed(0)
    network = ARCHITECTURES["fcn"].load()(3, 1, **section["arguments"])
    network.train()(torch.rand(4, 3, 32, 32))
    stream = io.BytesIO()
    torch.save(network.state_dict(), stream)
    return stream.getvalue()


def test_a_new_architecture_segments_whole_and_in_tiles_and_in_bfloat16(section: dict[str, Any]) -> None:
    params = ModelParams.parse(section, "params.yaml")
    data = weights(section)
    ref = model_ref(data, params)
    network = load_network(ref, data, CPU)
    assert network.stride == 2
    image = DecodedImage(noise(101, 75), (150, 202))
    whole = Predictor(ref, network).predict([image])[0].values
    tiled = Predictor(ref, network).predict_tiled(image, 40 * 40).values
    assert whole.shape == (1, 75, 101)
    assert np.allclose(whole, tiled, atol=1e-5)
    coarse = Predictor(ref, network.in_bf16()).predict([image])[0].values
    assert np.abs(whole - coarse).max() < 0.05 * np.abs(whole).max() + 0.01


def test_an_argument_that_it_does_not_know(section: dict[str, Any]) -> None:
    params = ModelParams.parse({**section, "arguments": {"depth": 3}}, "params.yaml")
    with pytest.raises(ModelLoadError, match=r"depth are unknown.*may name width"):
        load_network(model_ref(b"", params), b"", CPU)


def test_without_the_entry_it_is_refused_with_those_there_are() -> None:
    with pytest.raises(ModelParamsError, match=r"architecture: .*one of exported, unet"):
        ModelParams.parse(yaml.safe_load(PARAMS)["model"], "params.yaml")
