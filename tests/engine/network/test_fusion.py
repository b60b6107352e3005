"""Activations fused into layers: the same results, NaN included."""

import io

import pytest
import torch
from torch import nn

from cloudseg_ops.engine.network.fused_layers import ConvolutionWithReLU, can_fuse, fuse_sequences
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.program_fusion import fuse_layers
from cloudseg_ops.engine.network.program_graphs import graph_modules
from tests.support.lab import model_ref, state_bytes, tiny_unet, unet_params
from tests.support.programs import exported

CPU = torch.device("cpu")
IMAGES = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)

pytestmark = pytest.mark.skipif(not can_fuse(CPU), reason="oneDNN does not compute in bfloat16 on this processor")


class Block(nn.Module):
    """Layers with each activation that is fused, and some that are not."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, stride=2)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False)
        self.expand, self.reduce = nn.Linear(8, 16), nn.Linear(16, 8)
        self.bounded, self.head = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.first(images))
        features = torch.relu_(self.depthwise(features)) + features
        tokens = features.permute(0, 2, 3, 1)
        tokens = tokens + self.reduce(nn.functional.gelu(self.expand(tokens)))
        features = nn.functional.relu6(self.bounded(tokens.permute(0, 3, 1, 2)))
        plain = self.head(features)
        # Used twice, so the ReLU is not its only use.
        logits: torch.Tensor = torch.relu(plain) - plain
        return nn.functional.interpolate(logits, scale_factor=2.0)


def program_of(network: nn.Module) -> nn.Module:
    opened: nn.Module = torch.export.load(io.BytesIO(exported(network))).module()
    return opened.to(torch.bfloat16)


def operations(program: nn.Module) -> list[str]:
    (module,) = graph_modules(program)
    return [str(node.target) for node in module.graph.nodes if node.op == "call_function"]


def run(program: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = program(images.contiguous(memory_format=torch.channels_last))
    return logits


def with_values(*values: float) -> torch.Tensor:
    images = IMAGES.clone()
    for place, value in enumerate(values):
        images[:, :, 3, 5 * place] = value
    return images


@pytest.mark.parametrize("special", [(), (float("nan"),), (float("inf"), float("-inf")), (1e18, -1e18)])
def test_fused_program_computes_the_same(special: tuple[float, ...]) -> None:
    torch.manual_seed(0)
    network = Block()
    program, fused = program_of(network), program_of(network)
    (module,) = graph_modules(fused)
    assert fuse_layers(module) == 3
    found = operations(fused)
    assert found.count("mkldnn._convolution_pointwise.default") == 4
    assert found.count("mkldnn._linear_pointwise.default") == 2
    assert "aten.conv2d.default" not in found
    assert found.count("aten.relu.default") == 1
    assert any("relu6" in name or "hardtanh" in name for name in found)
    images = with_values(*special)
    expected, got = run(program, images), run(fused, images)
    assert torch.equal(got.isnan(), expected.isnan())
    finite = expected.isfinite()
    assert finite.any()
    # The bias and the GELU are added and computed before the result is rounded.
    assert (got[finite] - expected[finite]).abs().max() <= 0.02 * expected[finite].abs().max()


def test_float32_layers_are_left_alone() -> None:
    program = torch.export.load(io.BytesIO(exported(Block()))).module()
    before = operations(program)
    assert fuse_layers(program) == 0
    assert operations(program) == before


def test_float32_input_of_a_fused_layer_is_converted() -> None:
    fused = program_of(nn.Sequential(nn.Conv2d(3, 1, 1), nn.ReLU()))
    (module,) = graph_modules(fused)
    fuse_layers(module)
    assert run(fused, IMAGES.float()).dtype == torch.bfloat16


def test_sequences_of_a_module_are_fused() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Identity(),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.ReLU(),
        nn.Conv2d(4, 1, 1),
    ).to(torch.bfloat16)
    images = with_values(float("nan"))
    expected, plain = run(network, images), run(network, IMAGES)
    fuse_sequences(network)
    assert [place for place, layer in enumerate(network) if isinstance(layer, ConvolutionWithReLU)] == [0]
    assert torch.equal(run(network, images).isnan(), expected.isnan())
    assert torch.equal(run(network, IMAGES), plain)


def test_built_in_networks_are_fused_in_bfloat16() -> None:
    weights = state_bytes(tiny_unet())
    exact = load_network(model_ref(weights, unet_params()), weights, CPU)
    coarse = exact.in_bf16()
    layers = [layer for layer in coarse.forward.modules() if isinstance(layer, ConvolutionWithReLU)]
    assert len(layers) == 2 * (1 + 2 + 2)
    assert not any(isinstance(layer, ConvolutionWithReLU) for layer in exact.forward.modules())
    with torch.inference_mode():
        expected = exact.run(IMAGES.float())
        assert (coarse.run(IMAGES.float()).float() - expected).abs().max() < 0.05 * expected.abs().max()
