"""Transformations of exported programs: they become faster, and their results stay."""

import io
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import fx, nn

from cloudseg_ops.contracts.errors import NonFiniteWeightsError
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.network.program_graphs import arguments_of, graph_modules
from cloudseg_ops.engine.network.program_passes import in_bf16, prepare_program, with_bf16_convolutions
from tests.support.lab import model_ref
from tests.support.programs import exported, exported_params

CPU = torch.device("cpu")
IMAGES = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def opened(network: nn.Module) -> fx.GraphModule:
    """Export a network and open the program, as the engine does."""
    program: fx.GraphModule = torch.export.load(io.BytesIO(exported(network))).module()  # type: ignore[assignment]
    return program


def operations(program: nn.Module) -> list[str]:
    (module,) = graph_modules(program)
    return [str(node.target).removeprefix("aten.") for node in module.graph.nodes if node.op == "call_function"]


def run(program: nn.Module, images: torch.Tensor = IMAGES) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = program(images.contiguous(memory_format=torch.channels_last))
    return logits


def trained(network: nn.Module) -> nn.Module:
    """Give batch norms statistics and weights that are not those of a new network."""
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            assert module.running_var is not None
            module.running_mean.uniform_(-1, 1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 2, generator=generator)
                nn.init.uniform_(module.bias, -1, 1, generator=generator)
    return network.eval()


class Chain(nn.Sequential):
    """Convolutions with and without bias, transposed, depthwise, each with a batch norm; residual and dropout."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1, stride=2, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3, padding="same", groups=8),
            nn.BatchNorm2d(8, affine=False),
            nn.ReLU6(inplace=True),
            nn.Dropout(0.5),
            nn.ConvTranspose2d(8, 4, 2, stride=2),
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 1, 1),
        )


def test_batch_norms_are_folded_into_convolutions() -> None:
    network = trained(Chain())
    program = opened(network)
    assert prepare_program(program) == 3
    assert operations(program) == [
        *("conv2d.default", "relu_.default", "conv2d.padding", "hardtanh_.default", "conv_transpose2d.input"),
        "conv2d.default",
    ]
    torch.testing.assert_close(run(program), run(network), rtol=1e-5, atol=1e-5)
    # The tensors that nothing uses are freed.
    assert {name for name, _ in program.named_parameters()} == {
        *(f"folded_{number}_{kind}" for number in range(3) for kind in ("weight", "bias")),
        *("9.weight", "9.bias"),
    }
    assert not any("running" in name for name, _ in program.named_buffers())


def test_decomposed_batch_norms_are_folded() -> None:
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()))
    program = torch.export.export(network, (IMAGES,)).run_decompositions().module()
    assert "_native_batch_norm_legit_no_training.default" in operations(program)
    assert prepare_program(program) == 1
    assert operations(program) == ["convolution.default", "relu.default"]
    torch.testing.assert_close(run(program), run(network), rtol=1e-5, atol=1e-5)


class SharedResult(nn.Module):
    """The batch norm's input is used elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.conv(images)
        norm: torch.Tensor = self.norm(features)
        return norm + features


class SharedSize(nn.Module):
    """Only the size of the batch norm's input is used elsewhere, as in decoders of U-Nets."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.conv(images[..., ::2, ::2])
        norm: torch.Tensor = nn.functional.interpolate(self.norm(features), scale_factor=2.0)
        return nn.functional.interpolate(norm[..., 1:], size=[2 * side for side in features.shape[-2:]])


class SharedWeight(nn.Module):
    """One convolution, with a batch norm after its second use."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        norm: torch.Tensor = self.norm(self.conv(self.conv(images)))
        return norm[:, :1]


class BatchStatistics(nn.Module):
    """Normalizes with the statistics of the batch, as some networks do even in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1, track_running_stats=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        norm: torch.Tensor = self.norm(self.conv(images))
        return norm


class StandardizedWeight(nn.Module):
    """The convolution's weight is computed in the program."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        weight = self.conv.weight - self.conv.weight.mean()
        norm: torch.Tensor = self.norm(nn.functional.conv2d(images, weight, self.conv.bias))
        return norm


class NormFirst(nn.Module):
    """The batch norm is in front of the convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(3), nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.conv(self.norm(images))
        return logits


@pytest.mark.parametrize(
    ("build", "folded"),
    [
        (SharedResult, 0),
        (SharedSize, 1),
        (SharedWeight, 1),
        (BatchStatistics, 0),
        (StandardizedWeight, 0),
        (NormFirst, 0),
    ],
)
def test_only_exact_pairs_are_folded(build: Callable[[], nn.Module], folded: int) -> None:
    torch.manual_seed(0)
    network = trained(build())
    program = opened(network)
    assert prepare_program(program) == folded
    assert operations(program).count("batch_norm.default") == 1 - folded
    torch.testing.assert_close(run(program), run(network), rtol=1e-5, atol=1e-5)


def test_weights_that_are_infinite_once_folded_are_refused() -> None:
    network = trained(nn.Sequential(nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1)))
    norm = network[1]  # type: ignore[index]
    with torch.no_grad():
        norm.running_var.fill_(-1.0)
    weights = exported(network)
    with pytest.raises(NonFiniteWeightsError, match=r"with its batch normalization folded .* folded_0_weight"):
        load_network(model_ref(weights, exported_params()), weights, CPU)


class Attention(nn.Module):
    """Views of a convolution's result that channels last does not support, and conversions to channels first."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 8), nn.Conv2d(8, 1, 1)
        self.norm = nn.LayerNorm(8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.embed(images.contiguous())
        count, channels, height, width = features.shape
        tokens = self.norm(features.view(count, channels, -1).transpose(1, 2))
        tokens = tokens + self.mix(tokens)
        grid = tokens.reshape(count, height, width, channels).permute(0, 3, 1, 2).contiguous()
        logits: torch.Tensor = self.head(grid)
        return logits


def test_weights_of_convolutions_are_channels_last() -> None:
    torch.manual_seed(0)
    network = Attention().eval()
    program = opened(network)
    expected = run(network, IMAGES.clone())
    prepare_program(program)
    assert program.get_parameter("embed.weight").is_contiguous(memory_format=torch.channels_last)
    assert not {"view.default", "contiguous.default"} & set(operations(program))
    torch.testing.assert_close(run(program), expected)


class WrittenView(nn.Module):
    """Writes to a tensor after a view of it was taken: the view sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.conv(images)
        flat = features.view(features.shape[0], -1)
        features.mul_(2)
        return flat.view(features.shape).sum(dim=1, keepdim=True)


class Strided(nn.Module):
    """Reads its weight by strides."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.conv(images).contiguous()
        return features.as_strided((features.shape[0], 1, *features.shape[2:]), features.stride())


@pytest.mark.parametrize("build", [WrittenView, Strided])
def test_programs_that_depend_on_the_layout_are_left_alone(build: Callable[[], nn.Module]) -> None:
    program = opened(build())
    before = operations(program)
    prepare_program(program)
    assert operations(program) == before
    assert program.get_parameter("conv.weight").is_contiguous()


class Mixed(nn.Module):
    """Computes one step in float32 on purpose, and asserts a type."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.mix, self.last = nn.Conv2d(3, 4, 1), nn.Linear(4, 4), nn.Conv2d(4, 1, 1)
        self.register_buffer("scale", torch.tensor(0.5))

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
        Recorder(coarse.forward).run(IMAGES.to(torch.bfloat16))  # type: ignore[arg-type]
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


def test_a_program_within_a_module_is_prepared() -> None:
    network = trained(Chain())
    outer = nn.Sequential(opened(network), nn.Sigmoid())
    assert prepare_program(outer) == 3
    torch.testing.assert_close(run(outer), run(network).sigmoid(), rtol=1e-5, atol=1e-5)
    assert {tensor.dtype for tensor in in_bf16(outer, CPU).parameters()} == {torch.bfloat16}


def test_arguments_are_named_and_have_defaults() -> None:
    program = opened(nn.Conv2d(3, 1, 1, bias=False))
    (node,) = (node for node in program.graph.nodes if node.op == "call_function")
    found = arguments_of(node)
    assert list(found) == ["input", "weight", "bias", "stride", "padding", "dilation", "groups"]
    assert (found["bias"], found["groups"]) == (None, 1)
