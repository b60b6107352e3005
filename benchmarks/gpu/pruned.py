"""Whether this machine's PyTorch does without what the image leaves out: `benchmarks.gpu.slim` as a part of a run."""

from __future__ import annotations

import torch

from benchmarks.gpu.context import Context
from benchmarks.gpu.slim import check, site_packages_of


def main(context: Context) -> None:
    """Check, and note what came of it."""
    records = context.records("machine")
    if not torch.version.cuda:
        records.skip("the image without what it leaves out", "needs PyTorch's CUDA build")
        return
    records.write("pruned", **check(site_packages_of(torch.__file__), context.device, ()))
