"""How much memory a network's forward pass takes, measured on a small image and scaled by area."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors alive while its `with` block runs.

    Attributes:
        live: Bytes of the tensors made in the block and alive now.
        peak: The most that were alive at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Or PyTorch imports its compiler, for seconds, to keep it away from here.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and note the storages that it makes."""
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


def bytes_per_pixel(run: Callable[[torch.Tensor], object], small: torch.Tensor, large: torch.Tensor) -> float:
    """Measure the peak memory of a forward pass, in bytes per pixel of its input (N × H × W).

    By what two images differ: what they have in common, such as converted weights, does not grow with them.

    Args:
        run: The forward pass.
        small: Images as it takes them, shape (N, C, H, W).
        large: Images with more pixels.
    """
    more = large.numel() // large.shape[1] - small.numel() // small.shape[1]
    return max(1.0, (_peak_bytes(run, large) - _peak_bytes(run, small)) / more)


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
