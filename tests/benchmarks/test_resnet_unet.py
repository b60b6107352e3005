"""The U-Net with a ResNet as its encoder, and its exported program."""

import pytest
import torch

from benchmarks.generous import fold_batch_norms
from benchmarks.resnet_unet import STRIDE, ResNetUNet, export_program


@pytest.fixture(scope="module")
def network() -> ResNetUNet:
    torch.manual_seed(0)
    return ResNetUNet(8).eval().requires_grad_(requires_grad=False)


def test_parameter_count_is_that_of_a_resnet_34_with_a_decoder() -> None:
    assert sum(parameter.numel() for parameter in ResNetUNet().parameters()) == 24_436_369


def test_all_batch_norms_fold_into_convolutions(network: ResNetUNet) -> None:
    images = torch.randn(1, 3, 64, 64)
    expected = network(images)
    again = ResNetUNet(8)
    again.load_state_dict(network.state_dict())
    without = fold_batch_norms(again.eval())
    assert not [module for module in without.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    torch.testing.assert_close(without(images), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_exported_program_accepts_any_multiple_of_the_stride(network: ResNetUNet) -> None:
    program = export_program(network).module()
    for count, rows, columns in ((1, 1, 1), (2, 1, 3), (3, 2, 2)):
        images = torch.randn(count, 3, STRIDE * rows, STRIDE * columns)
        torch.testing.assert_close(program(images), network(images), atol=1e-4, rtol=1e-4)
