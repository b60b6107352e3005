"""Compares a library's eager network with its exported program, in the environment that has the libraries.

    .cloudseg/model-venv/bin/python -m benchmarks.eager unet34
    .cloudseg/model-venv/bin/python -m benchmarks.eager deeplab --batch 4 --side 256

The eager network in its best setting (folded batch norms, channels last, bfloat16) is what exported programs should be
as fast as. Both run in this environment's PyTorch, so nothing but the form differs. The network is not fitted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.library_networks import NETWORKS
from benchmarks.resnet_unet import export_program
from cloudseg_ops.engine.network.program_passes import in_bf16, prepare_program

CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=NETWORKS)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = torch.rand(options.batch, 3, options.side, options.side).contiguous(memory_format=torch.channels_last)
    forwards = forms(options.name)
    best = dict.fromkeys(forwards, float("inf"))
    with torch.inference_mode():
        for round_ in range(options.rounds + 1):
            for name, forward in forwards.items():
                began = time.perf_counter()
                forward(images)
                if round_:
                    best[name] = min(best[name], time.perf_counter() - began)
    print(f"{options.name}, {options.batch} × {options.side} × {options.side}, PyTorch {torch.__version__}")
    with torch.inference_mode():
        logits = {name: forward(images).float() for name, forward in forwards.items()}
    expected = next(iter(logits.values()))
    for name, seconds in best.items():
        difference = float((logits[name] - expected).abs().max() / expected.abs().max())
        print(f"{name:<50}{1000 * seconds:8.1f} ms, results differ by {difference:.2g}")


def forms(name: str) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Return forward passes by description; the first is the network as it is."""

    def new() -> nn.Module:
        torch.manual_seed(0)
        return NETWORKS[name]().eval().requires_grad_(requires_grad=False)

    folded = _fold(new()).to(torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]
    program: nn.Module = export_program(new()).module()
    prepare_program(program)
    prepared = in_bf16(program, CPU)

    def run_prepared(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits: torch.Tensor = prepared(images.to(torch.bfloat16))
        return logits

    return {
        "eager, float32": new(),
        "eager, folded, channels last, bfloat16": lambda images: folded(images.to(torch.bfloat16)),
        "exported, as the engine runs it": run_prepared,
    }


def _fold(network: nn.Module) -> nn.Module:
    """Fold batch norms that are the next child after a convolution: the libraries list them so."""
    for block in network.modules():
        children = list(block.named_children())
        for (name, layer), (following, norm) in pairwise(children):
            if not isinstance(norm, nn.BatchNorm2d) or not isinstance(layer, nn.Conv2d):
                continue
            if layer.out_channels == norm.num_features:
                setattr(block, name, fuse_conv_bn_eval(layer, norm))
                setattr(block, following, nn.Identity())
    return network


if __name__ == "__main__":
    main()
