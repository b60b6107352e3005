"""Checks that PyTorch works without the files that the image leaves out: `benchmarks.gpu.slim` as a part."""

from __future__ import annotations

import torch

from benchmarks.gpu.context import Context
from benchmarks.gpu.slim import check, site_packages_of


def main(context: Context) -> None:
    """Run the check, and record its result."""
    records = context.records("machine")
    if not torch.version.cuda:
        records.skip("the image without what it leaves out", "needs PyTorch's CUDA build")
        return
    records.write("pruned", **check(site_packages_of(torch.__file__), context.device, ()))
