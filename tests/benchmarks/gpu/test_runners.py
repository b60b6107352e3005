import torch
from torch import nn

from benchmarks.generous import fold_batch_norms
from benchmarks.gpu.runners import ConvRelu, fused
from cloudseg_ops.engine.network.networks import UNet


def test_only_convolutions_before_a_relu_are_replaced() -> None:
    network = fused(fold_batch_norms(UNet(3, 1, 4, 2).eval()))
    replaced = [layer for layer in network.modules() if isinstance(layer, ConvRelu)]
    assert len(replaced) == 2 * (3 + 2)
    assert not [layer for layer in network.modules() if isinstance(layer, nn.ReLU)]
    assert isinstance(network.head, nn.Conv2d)


def test_convolution_is_kept_if_the_relu_does_not_follow_directly() -> None:
    block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(3, 3, 1))
    fused(block)
    assert isinstance(block[0], nn.Conv2d)
    assert isinstance(block[2], nn.ReLU)
    assert block(torch.zeros(1, 3, 4, 4)).shape == (1, 3, 2, 2)
