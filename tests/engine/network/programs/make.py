"""Exports the programs in this folder, with a newer PyTorch than the engine's.

    PYTHONPATH=. .cloudseg/model-venv/bin/python tests/engine/network/programs/make.py

tests/engine/network/test_newer_programs.py loads them with the engine's PyTorch, and compares their outputs with those
that the newer one recorded in expected.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cloudseg_ops.export import export_network

FOLDER = Path(__file__).parent
SIZE = (64, 96)


class TinyUNet(nn.Module):
    """Convolutions, batch norms, a transposed convolution, a skip and an interpolation; strides of 4."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.down = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.SiLU())
        self.deep = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(6, 6, 3, padding=1), nn.GroupNorm(2, 6), nn.GELU())
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = self.first(images)
        up = self.up(self.deep(self.down(first)))
        up = nn.functional.interpolate(up, scale_factor=2.0, mode="bilinear", align_corners=False)
        scores: torch.Tensor = self.head(torch.cat([first, up], dim=1))
        return scores


class Dict(nn.Module):
    """Returns a dict, as torchvision's networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.network = TinyUNet(2)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = self.network(images)
        return {"out": scores, "aux": scores[:, :1]}


class Attention(nn.Module):
    """Attention over patches with an embedding of positions: takes one size, and returns probabilities of a quarter."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.positions = nn.Parameter(torch.randn(1, SIZE[0] * SIZE[1] // 16, 8) / 4)
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        patches = self.patches(images)
        tokens = patches.flatten(2).transpose(1, 2) + self.positions
        q, k, v = self.qkv(self.norm(tokens)).chunk(3, dim=-1)
        tokens = tokens + nn.functional.scaled_dot_product_attention(q, k, v)
        return (torch.sigmoid(self.head(tokens)).transpose(1, 2).reshape(-1, 1, *patches.shape[2:]),)


def images(height: int, width: int) -> torch.Tensor:
    """Images that every PyTorch makes alike, which those of a random generator need not be."""
    values = torch.arange(2 * 3 * height * width, dtype=torch.float32)
    return torch.sin(values * 0.37).view(2, 3, height, width)


def main() -> None:
    """Export the programs, and record their outputs."""
    torch.manual_seed(5)
    networks: dict[str, tuple[nn.Module, dict[str, Any]]] = {
        "unet": (TinyUNet(1), {"multiple": 4}),
        "dict": (Dict(), {"multiple": 4, "classes": ["clear sky", "cloud"]}),
        "attention": (Attention(), {"multiple": 4}),
    }
    expected: dict[str, Any] = {"torch": str(torch.__version__), "programs": {}}
    for name, (network, options) in networks.items():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
        exported = export_network(network, FOLDER / f"{name}.pt2", example_size=SIZE, **options)
        sizes = [SIZE] if "input_size" in exported.model else [SIZE, (48, 40)]
        with torch.no_grad():
            runs = [torch.export.load(exported.path).module()(images(*size)) for size in sizes]
        expected["programs"][name] = {
            "model": dict(exported.model),
            "runs": [
                {"size": size, "shape": list(run.shape), "values": run.flatten()[:: run.numel() // 16].tolist()}
                for size, run in zip(sizes, runs, strict=True)
            ],
        }
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
