"""The settings of a bare forward pass that the search tries."""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from benchmarks.generous import fold_batch_norms

Forward = Callable[[torch.Tensor], torch.Tensor]
Precision = Literal["fp32", "autocast", "bf16"]
Compiler = Literal["none", "trace", "compile", "freeze"]

COMPILERS: tuple[Compiler, ...] = ("trace", "compile", "freeze")
MAX_BATCH_PIXELS = 16 * 1024 * 1024
"""Maximum number of pixels in a batch."""
_COMPILER_LABELS = {
    "none": "eager",
    "trace": "jit.trace and freeze",
    "compile": "torch.compile",
    "freeze": "torch.compile, freezing",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run a network.

    Attributes:
        precision: `fp32`; `autocast`: bfloat16 where autocast chooses it; `bf16`: weights and images in bfloat16.
        channels_last: Memory layout.
        folded: Whether batch norms are folded into the convolutions before them.
        compiler: How the network is compiled.
        batch: Images per pass.
        lanes: Concurrent passes.
        threads: Threads per lane.
        processes: Whether lanes are processes rather than threads of one process.
    """

    precision: Precision = "fp32"
    channels_last: bool = False
    folded: bool = False
    compiler: Compiler = "none"
    batch: int = 1
    lanes: int = 1
    threads: int = 1
    processes: bool = False

    def describe(self) -> str:
        """Describe the setting."""
        lanes = f"{self.lanes} {'processes' if self.processes else 'lanes'} × {self.threads} threads"
        return ", ".join(
            (
                {"fp32": "fp32", "autocast": "bf16 by autocast", "bf16": "bf16 weights"}[self.precision],
                "channels last" if self.channels_last else "NCHW",
                "batch norm folded" if self.folded else "batch norm as it is",
                _COMPILER_LABELS[self.compiler],
                f"batch {self.batch}",
                lanes if self.lanes > 1 else f"{self.threads} threads",
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return the setting as JSON-compatible values."""
        return asdict(self)


def vary_precision_and_layout(start: Setting) -> Iterator[Setting]:
    """Vary precision and memory layout with folded batch norms, and once with unfolded ones."""
    for precision in ("fp32", "autocast", "bf16"):
        for channels_last in (False, True):
            yield replace(start, precision=precision, channels_last=channels_last, folded=True)
    yield replace(start, channels_last=True)


def vary_lanes(setting: Setting, cpus: int, *, processes: bool) -> Iterator[Setting]:
    """Vary the number of lanes, as threads and as processes; lanes × threads per lane is the number of CPUs."""
    for lanes in range(1, cpus + 1):
        if cpus % lanes == 0:
            yield replace(setting, lanes=lanes, threads=cpus // lanes, processes=False)
            if processes and lanes > 1:
                yield replace(setting, lanes=lanes, threads=cpus // lanes, processes=True)


def vary_batches(setting: Setting, pixels: int) -> Iterator[Setting]:
    """Vary the batch size for images of this many pixels."""
    for batch in (1, 2, 4, 8, 16, 32):
        if batch == 1 or batch * pixels <= MAX_BATCH_PIXELS:
            yield replace(setting, batch=batch)


def missing_compiler() -> str | None:
    """Return why torch.compile cannot be used here; None if it can."""
    if torch.cuda.is_available() or any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        return None
    return "torch.compile was not tried: no C++ compiler (g++, clang++) is on the PATH"


def build(network: nn.Module, setting: Setting, example: torch.Tensor) -> Forward:
    """Prepare a network according to a setting.

    Args:
        network: The unmodified network; it is changed in place.
        setting: The setting.
        example: An example batch, float32, on the device.

    Returns:
        A function that maps a float32 batch to logits.
    """
    if setting.folded:
        network = fold_batch_norms(network)
    network = network.to(example.device)
    if setting.channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if setting.precision == "bf16":
        network = network.to(torch.bfloat16)
    device = example.device.type

    def to_input(images: torch.Tensor) -> torch.Tensor:
        images = images.to(torch.bfloat16) if setting.precision == "bf16" else images
        return images.contiguous(memory_format=torch.channels_last) if setting.channels_last else images

    @contextlib.contextmanager
    def forward_context() -> Iterator[None]:
        # Compilers build their own graph, which cannot contain inference mode's tensors.
        inference = torch.inference_mode() if setting.compiler == "none" else torch.no_grad()
        # With its cache, autocast would make a trace's casted weights inputs of the trace.
        cached = setting.compiler == "none"
        half = setting.precision == "autocast"
        with inference, torch.autocast(device, torch.bfloat16, enabled=half, cache_enabled=cached):
            yield

    with forward_context():
        run = _compiled(network, setting.compiler, to_input(example))

    def forward(images: torch.Tensor) -> torch.Tensor:
        with forward_context():
            logits: torch.Tensor = run(to_input(images))
        return logits

    return forward


def _compiled(network: nn.Module, compiler: Compiler, example: torch.Tensor) -> Any:
    if compiler == "none":
        return network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if compiler == "trace":
            return torch.jit.freeze(torch.jit.trace(network, example))  # type: ignore[no-untyped-call]
        from torch._inductor import config

        # After an earlier compilation, torch.compile would make the batch size dynamic.
        torch._dynamo.reset()
        config.freezing = compiler == "freeze"
        run = torch.compile(network, dynamic=False)
        run(example)
    return run
