"""Compiles a network's forward pass with `torch.compile` for batch shapes that occur often, where that pays."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import threading
import time
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.process.options import Compile

MIN_SECONDS = 600.0
"""With `auto`, seconds of forward passes that must be left: compiling takes half a minute to two, and saves a tenth."""
MAX_SHAPES = 4
MIN_PASSES = 8
"""Passes of a shape before it may be compiled: the search for the batch size ends sooner with the other shapes."""
_MAX_KNOWN = 1000
_TIMED_PASSES = 2
_TOLERANCE = 0.02
"""Maximum difference of results, relative to the largest value: in bfloat16, more is not rounding."""
_COMPILERS = ("g++", "clang++", "c++")

_log = logging.getLogger(__name__)


def with_compilation(network: Network, choice: Compile, expected: int) -> Network:
    """Return a network that compiles its forward pass while it runs, if the options say so.

    Args:
        network: The network in its final precision.
        choice: `never`; `always`: each shape of batches, up to `MAX_SHAPES`; `auto`: a shape for which at least
            `MIN_SECONDS` of passes are left.
        expected: Number of images left in the chunk.
    """
    if choice == "never":
        return network
    if why := _unavailable(network.device):
        _log.warning("the network is not compiled (--compile %s): %s", choice, why)
        return network
    # Machine code is not kept: it would have to be trusted, and fits one processor and one version of PyTorch.
    folder = tempfile.mkdtemp(prefix="cloudseg-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
    forward = CompilingForward(network.forward, expected, 0.0 if choice == "always" else MIN_SECONDS)
    return replace(network, forward=forward)


def _unavailable(device: torch.device) -> str | None:
    if device.type != "cpu":
        return "only networks on the CPU are"
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), *_COMPILERS) if name):
        return f"there is no C++ compiler ({', '.join(_COMPILERS)}) on the PATH"
    return None


class CompilingForward(nn.Module):
    """A forward pass that is compiled for frequent shapes; safe to share between threads.

    While one thread compiles, the others compute as before. A compiled pass is used only if its results are those of
    the original, NaN included, and if it is faster.

    Args:
        forward: The original pass.
        expected: Number of images left in the chunk.
        min_seconds: Seconds of passes that must be left for a shape to be compiled.
    """

    def __init__(self, forward: nn.Module, expected: int, min_seconds: float) -> None:
        super().__init__()
        self.original = forward
        self._left = expected
        self._min_seconds = min_seconds
        self._compiling = threading.Lock()
        self._passes: dict[tuple[int, ...], tuple[int, float]] = {}
        self._compiled: dict[tuple[int, ...], Any] = {}

    def forward(self, images: torch.Tensor) -> Any:
        """Return what the original returns."""
        shape = tuple(images.shape)
        if compiled := self._compiled.get(shape):
            return compiled(images)
        began = time.perf_counter()
        result = self.original(images)
        seconds = time.perf_counter() - began
        self._left -= shape[0]
        count, fastest = self._passes.get(shape, (0, seconds))
        if len(self._passes) < _MAX_KNOWN:
            self._passes[shape] = count + 1, min(fastest, seconds)
        if self._pays(shape) and self._compiling.acquire(blocking=False):
            try:
                # Another thread may have compiled it meanwhile.
                if shape not in self._compiled:
                    self._compiled[shape] = self._compile(images, result, self._passes[shape][1])
            finally:
                self._compiling.release()
        return result

    def _pays(self, shape: tuple[int, ...]) -> bool:
        count, fastest = self._passes.get(shape, (0, 0.0))
        if count < MIN_PASSES or shape in self._compiled or len(self._compiled) >= MAX_SHAPES:
            return False
        # How often the shape will occur is unknown: as often as it did.
        share = count / sum(known for known, _ in list(self._passes.values()))
        passes = share * self._left / shape[0]
        return passes >= 1 and passes * fastest >= self._min_seconds

    def _compile(self, images: torch.Tensor, expected: Any, eager_seconds: float) -> Any:
        """Return the compiled pass, or None if it is not worth using."""
        began = time.perf_counter()
        size = " × ".join(map(str, images.shape))
        try:
            compiled = _compiled(self.original)
            difference = _difference(compiled(images), expected)
            same_nan = _same_nan(compiled, self.original, images)
            seconds = min(_timed(compiled, images) for _ in range(_TIMED_PASSES))
        except Exception as error:  # noqa: BLE001  compilers fail with any exception; the original pass remains
            _log.warning("the network was not compiled for %s: %s: %.200s", size, type(error).__name__, error)
            return None
        used = difference <= _TOLERANCE and same_nan and seconds < eager_seconds
        _log.info(
            "compiling the network for %s took %.0f s; a pass takes %.1f ms instead of %.1f, and its results differ by "
            "%.2g%s: %s",
            size,
            time.perf_counter() - began,
            1000 * seconds,
            1000 * eager_seconds,
            difference,
            "" if same_nan else " and hide NaN",
            "used" if used else "not used",
        )
        return compiled if used else None


def _compiled(forward: nn.Module) -> Any:
    from torch._inductor import config

    # A pool of processes to compile in would outlive its use, and take a second to start.
    config.compile_threads = 1
    # Each shape is compiled alone: code for any size is slower, and takes longer to compile.
    return torch.compile(forward, dynamic=False)


def _timed(forward: Any, images: torch.Tensor) -> float:
    began = time.perf_counter()
    forward(images)
    return time.perf_counter() - began


def _difference(found: Any, expected: Any) -> float:
    """Return the largest difference of two results, relative to the largest expected value."""
    if not isinstance(found, torch.Tensor) or found.shape != expected.shape:
        return float("inf")
    difference = (found.float() - expected.float()).abs().max() / expected.float().abs().max().clamp(min=1e-6)
    return float(difference)


def _same_nan(compiled: Any, original: nn.Module, images: torch.Tensor) -> bool:
    """Return whether NaN spreads as in the original: fused operations may hide that a pass overflowed."""
    marked = images.clone()
    marked[..., : marked.shape[-2] // 2, : marked.shape[-1] // 2] = float("nan")
    return bool(torch.equal(compiled(marked).isnan(), original(marked).isnan()))
