"""Copies between main memory and the device, through pinned memory if the device is a GPU."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch

_log = logging.getLogger(__name__)


class Transfers:
    """Moves tensors to a device and back; safe to share between threads.

    On a GPU, copies are queued on the thread's current CUDA stream and need no stream to be synchronized but that one.
    PyTorch's allocator for pinned memory gives a block out again only once the copies that were queued from it are
    done, so a tensor may be dropped while its copy is still under way.

    Args:
        device: The other side; on the CPU nothing is copied.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pins = device.type == "cuda"

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Make a tensor in main memory, pinned if the device is a GPU."""
        if self._pins:
            try:
                return torch.empty(shape, dtype=dtype, pin_memory=True)
            except RuntimeError as error:
                # Copies from other memory are right as well, and slower.
                self._pins = False
                _log.warning("main memory cannot be pinned (%s): copies to the GPU take longer", error)
        return torch.empty(shape, dtype=dtype)

    def to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        """Queue a copy of a tensor to the device; on the CPU, return the tensor itself."""
        return tensor.to(self._device, non_blocking=True)

    def to_host(self, tensors: Sequence[torch.Tensor]) -> list[npt.NDArray[Any]]:
        """Copy tensors to main memory and wait for all of them, once; on the CPU, return views of them."""
        if self._device.type == "cpu":
            return [tensor.numpy() for tensor in tensors]
        copies = [self.empty(tensor.shape, tensor.dtype) for tensor in tensors]
        for copy, tensor in zip(copies, tensors, strict=True):
            copy.copy_(tensor, non_blocking=True)
        # Blocking: by default CUDA waits by spinning, and on a node with few CPUs, decoding needs them.
        done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        done.record()
        done.synchronize()
        return [copy.numpy() for copy in copies]
