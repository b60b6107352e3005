"""The table of built-in architectures matches their networks."""

import inspect

import pytest
import torch
from torch import nn

from cloudseg_ops.contracts.architectures import ARCHITECTURES
from cloudseg_ops.engine.network.receptive_field import module_receptive_field


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_network_accepts_the_listed_arguments_and_sizes(name: str) -> None:
    architecture = ARCHITECTURES[name]
    build = architecture.load()
    assert architecture.arguments <= inspect.signature(build).parameters.keys()
    network = build(3, 2)
    assert isinstance(network, nn.Module)
    height, width = 2 * architecture.stride({}), 3 * architecture.stride({})
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 3, height, width)).shape == (1, 2, height, width)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, one in ARCHITECTURES.items() if one.narrowest])
def test_narrowest_network_has_the_same_receptive_field(name: str) -> None:
    architecture = ARCHITECTURES[name]
    build, stride = architecture.load(), architecture.stride({})
    assert architecture.narrowest is not None
    narrow = module_receptive_field(build(1, 1, **architecture.narrowest({})), stride)
    assert narrow is not None
    assert narrow == module_receptive_field(build(1, 1), stride)
