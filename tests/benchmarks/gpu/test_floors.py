"""Theoretical lower bounds, against counts made by hand."""

import pytest
import torch
from torch import nn

from benchmarks.gpu.floors import Peak, Work, count_work, peak_of


class OneLayer(nn.Module):
    """A convolution with a fused ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(images))


class TwoLayers(OneLayer):
    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.pool(super().forward(images))
        return pooled


def test_operations_and_bytes_of_a_convolution() -> None:
    work = count_work(OneLayer(), 8)
    assert work.flops == 2 * 8 * 8 * 5 * 3 * 3 * 3
    assert work.edge_bytes == 2 * (3 * 8 * 8 + 5 * 8 * 8)
    assert work.layer_bytes == 2 * (3 * 8 * 8 + 2 * 5 * 8 * 8)
    assert work.weight_bytes == 2 * 5 * 3 * 3 * 3


def test_each_layer_adds_its_activation() -> None:
    one, two = count_work(OneLayer(), 8), count_work(TwoLayers(), 8)
    assert two.layer_bytes - one.layer_bytes == 2 * 2 * 5 * 4 * 4
    assert two.flops == one.flops


def test_floor_is_the_slower_of_compute_and_memory() -> None:
    peak = Peak("paper", flops=100.0, bandwidth=10.0)
    work = Work(flops=400.0, edge_bytes=10.0, layer_bytes=100.0, weight_bytes=20.0)
    assert work.seconds(peak, 1) == pytest.approx(4.0)
    assert work.seconds(peak, 1, layers=True) == pytest.approx(12.0)
    # A batch reads the weights once.
    assert work.seconds(peak, 4, layers=True) == pytest.approx(10.5)


def test_peaks_by_gpu_name() -> None:
    assert peak_of("NVIDIA H200").bandwidth > peak_of("NVIDIA H100 80GB HBM3").bandwidth
    assert peak_of("CPU") == peak_of("H100")
