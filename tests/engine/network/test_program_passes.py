"""Transformations of exported programs: they become faster, and their results stay."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from cloudseg_ops.contracts.errors import NonFiniteWeightsError
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.program_graphs import arguments_of
from cloudseg_ops.engine.network.program_passes import in_bf16, prepare_program
from tests.support.lab import model_ref
from tests.support.program_networks import CPU, IMAGES, Attention, Chain, opened, operations, run, trained
from tests.support.programs import exported, exported_params


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
        total: torch.Tensor = norm + features
        return total


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
        logits: torch.Tensor = flat.view(features.shape).sum(dim=1, keepdim=True)
        return logits


class Strided(nn.Module):
    """Reads its weight by strides."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.conv(images).contiguous()
        first: torch.Tensor = features.as_strided((features.shape[0], 1, *features.shape[2:]), features.stride())
        return first


@pytest.mark.parametrize("build", [WrittenView, Strided])
def test_programs_that_depend_on_the_layout_are_left_alone(build: Callable[[], nn.Module]) -> None:
    program = opened(build())
    before = operations(program)
    prepare_program(program)
    assert operations(program) == before
    assert program.get_parameter("conv.weight").is_contiguous()


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
