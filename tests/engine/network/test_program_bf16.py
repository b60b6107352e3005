"""Exported programs in bfloat16."""

import warnings
from typing import Any

import torch
from torch import fx, nn

from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.network.program_passes import with_bf16_convolutions
from tests.support.lab import model_ref
from tests.support.program_networks import CPU, IMAGES, Attention, Chain, opened, run, trained
from tests.support.programs import exported, exported_params


class Mixed(nn.Module):
    """Computes one step in float32 on purpose, and asserts a type."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.mix, self.last = nn.Conv2d(3, 4, 1), nn.Linear(4, 4), nn.Conv2d(4, 1, 1)
        self.scale = nn.Buffer(torch.tensor(0.5))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = torch.softmax(self.first(images).to(torch.float32), dim=1)
        features = self.mix((features * self.scale).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        logits: torch.Tensor = self.last(features)
        return logits


def loaded(network: nn.Module) -> Network:
    weights = exported(network)
    return load_network(model_ref(weights, exported_params()), weights, CPU)


def test_whole_program_computes_in_bfloat16() -> None:
    torch.manual_seed(0)
    network = trained(Chain())
    exact = loaded(network)
    coarse = exact.in_bf16()
    assert (coarse.dtype, coarse.precision) == (torch.bfloat16, "bfloat16")
    assert {tensor.dtype for tensor in coarse.forward.parameters()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in exact.forward.parameters()} == {torch.float32}
    with torch.inference_mode():
        found = coarse.run(IMAGES)
    assert (found.float() - run(network)).abs().max() < 0.05 * run(network).abs().max()


def test_float32_steps_of_a_program_stay_in_float32() -> None:
    torch.manual_seed(0)
    network = Mixed().eval()
    coarse = loaded(network).in_bf16()
    seen: dict[str, torch.dtype] = {}

    class Recorder(fx.Interpreter):
        def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
            result = super().call_function(target, args, kwargs)
            seen[str(target)] = result.dtype if isinstance(result, torch.Tensor) else torch.int64
            return result

    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        Recorder(coarse.forward).run(IMAGES.to(torch.bfloat16))
        found = coarse.run(IMAGES)
    assert seen["aten.softmax.int"] == torch.float32
    layers = [dtype for name, dtype in seen.items() if "linear" in name or "conv" in name]
    assert layers == [torch.bfloat16] * 2
    assert (found.float() - run(network)).abs().max() < 0.02


def test_weights_of_convolutions_and_linear_layers_are_converted_once() -> None:
    program = opened(Attention())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coarse = with_bf16_convolutions(program, CPU)
    dtypes = {name: parameter.dtype for name, parameter in coarse.named_parameters()}
    assert {name for name, dtype in dtypes.items() if dtype == torch.float32} == {"norm.weight", "norm.bias"}
    assert coarse.get_parameter("norm.weight") is program.get_parameter("norm.weight")
