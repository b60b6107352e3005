"""Measures how much memory a forward pass takes per pixel, on small images."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of live tensors while its `with` block runs.

    Attributes:
        live: Bytes of the tensors that were created in the block and are still alive.
        peak: Maximum of `live` so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True makes PyTorch import its compiler, which takes seconds.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count the storages it allocates."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._note(leaf.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, nbytes: int) -> None:
        self._known.discard(key)
        self.live -= nbytes


def bytes_per_pixel(
    run: Callable[[torch.Tensor], object], small: torch.Tensor, large: torch.Tensor | None = None
) -> float:
    """Measure the peak memory of a forward pass, in bytes per input pixel (N × H × W).

    Computed from the difference of two passes, which cancels memory that does not depend on the image size, such as
    converted weights.

    Args:
        run: The forward pass.
        small: Images to pass to it, shape (N, C, H, W).
        large: Images with more pixels; None: the network takes only one size, so that all memory counts.
    """
    pixels, peak = small.numel() // small.shape[1], _peak_bytes(run, small)
    if large is None:
        return max(1.0, peak / pixels)
    return max(1.0, (_peak_bytes(run, large) - peak) / (large.numel() // large.shape[1] - pixels))


@torch.inference_mode()
def _peak_bytes(run: Callable[[torch.Tensor], object], images: torch.Tensor) -> int:
    if images.device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run(images)
        torch.cuda.synchronize()
        return int(images.nbytes) + int(torch.cuda.max_memory_allocated()) - int(before)
    count = LiveBytes()
    with count:
        run(images)
    return int(images.nbytes) + count.peak
