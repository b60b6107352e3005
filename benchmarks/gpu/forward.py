"""Settings of a bare forward pass on a GPU, and their speed."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from benchmarks.generous import fold_batch_norms
from benchmarks.gpu.runners import WARM_PASSES, Graph, fused

Forward = Callable[[torch.Tensor], torch.Tensor]
Precision = Literal["fp32", "tf32", "autocast", "bf16"]
Runner = Literal["eager", "fused", "graph", "compile", "max-autotune", "aoti"]

_MAX_PASSES = 2000
_BARRIER_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run a network; channels last throughout.

    Attributes:
        precision: `fp32`, `tf32`; `autocast`: bfloat16 where autocast chooses it; `bf16`: weights and images too.
        runner: `eager`; `fused`: bias and ReLU within cuDNN's convolution; `graph`: a CUDA graph of `eager`;
            `compile`, `max-autotune`: torch.compile; `aoti`: AOTInductor.
        batch: Images per pass.
        lanes: Threads with a CUDA stream each.
        search: Enable cudnn.benchmark, which measures cuDNN's algorithms for each shape.
        exported: Run the exported program, like the engine, instead of the module with folded batch norms.
    """

    precision: Precision = "bf16"
    runner: Runner = "eager"
    batch: int = 1
    lanes: int = 1
    search: bool = True
    exported: bool = False

    def describe(self) -> str:
        """Describe the setting."""
        return ", ".join(
            (
                self.precision,
                {"graph": "CUDA graph", "aoti": "AOTInductor", "compile": "torch.compile"}.get(
                    self.runner, self.runner
                ),
                f"batch {self.batch}",
                f"{self.lanes} lane{'s' if self.lanes > 1 else ''}",
                *(["cudnn.benchmark"] if self.search else []),
                *(["exported program"] if self.exported else []),
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return the setting as JSON-compatible values."""
        return asdict(self)

    @property
    def needs_cuda(self) -> bool:
        """Whether the setting needs a GPU."""
        return self.runner in {"graph", "fused"} or self.precision == "tf32"


def build(network: nn.Module, setting: Setting, example: torch.Tensor, work: Path) -> tuple[Forward, torch.Tensor]:
    """Prepare a network for a setting.

    Args:
        network: The unmodified network, or an exported program's module; it is changed in place.
        setting: The setting.
        example: A batch, float32, on the device.
        work: Folder for compiled packages.

    Returns:
        The forward pass, and the batch in the form that it takes.
    """
    torch.backends.cudnn.benchmark = setting.search
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = setting.precision != "fp32"
    if not setting.exported:
        network = fold_batch_norms(network).to(example.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    dtype = torch.bfloat16 if setting.precision == "bf16" else torch.float32
    if setting.precision == "bf16":
        network = network.to(dtype)
    images = example.to(dtype).contiguous(memory_format=torch.channels_last)
    run = _runner(network, setting, images, work)
    return _with_context(run, setting, example.device.type), images


def _with_context(run: Forward, setting: Setting, device: str) -> Forward:
    # Compilers build their own graph, which cannot contain inference mode's tensors.
    plain = setting.runner in {"eager", "fused", "graph"}

    def forward(images: torch.Tensor) -> torch.Tensor:
        with (
            torch.inference_mode() if plain else torch.no_grad(),
            torch.autocast(device, torch.bfloat16, enabled=setting.precision == "autocast"),
        ):
            return run(images)

    return forward


def _runner(network: nn.Module, setting: Setting, images: torch.Tensor, work: Path) -> Forward:
    if setting.runner == "fused":
        return fused(network)
    if setting.runner == "graph":
        return Graph(network, images)
    if setting.runner == "compile":
        return torch.compile(network, dynamic=False)
    if setting.runner == "max-autotune":
        return torch.compile(network, dynamic=False, mode="max-autotune")
    if setting.runner == "aoti":
        from torch._inductor import aoti_compile_and_package, aoti_load_package

        with torch.no_grad():
            program = torch.export.export(network, (images,))
            package = aoti_compile_and_package(program, package_path=str(work / "aoti.pt2"))
        loaded: Forward = aoti_load_package(package)
        return loaded
    return network


@dataclass
class _Shared:
    """State shared by the lanes of one measurement."""

    barrier: threading.Barrier
    seconds: float
    warm: list[float] = field(default_factory=list)
    began: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def passes(self) -> int:
        """Return how many passes of the slowest lane fit into the time."""
        return max(1, min(_MAX_PASSES, int(self.seconds / max(self.warm))))


def rate(make: Callable[[], tuple[Forward, torch.Tensor]], lanes: int, seconds: float) -> float:
    """Measure images per second of a forward pass in lanes that begin and end together.

    Args:
        make: Creates the forward pass and its batch; called once per lane, sequentially.
        lanes: Number of threads; on a GPU, each has a stream.
        seconds: Approximate time to measure, excluding warm-up passes.

    Raises:
        RuntimeError: A lane failed; the cause is its error.
    """
    built = [make() for _ in range(lanes)]
    shared = _Shared(threading.Barrier(lanes), seconds)
    if lanes == 1:
        # In this thread and its stream: the CUDA graphs of torch.compile belong to the thread that made them.
        _lane(*built[0], shared, nullcontext())
    else:
        threads = [threading.Thread(target=_lane, args=(*one, shared, _stream(one[1])), daemon=True) for one in built]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if shared.errors:
        raise shared.errors[0]
    images = lanes * shared.passes() * len(built[0][1])
    return images / (max(shared.ended) - min(shared.began))


def _lane(forward: Forward, images: torch.Tensor, shared: _Shared, stream: AbstractContextManager[Any]) -> None:
    try:
        with stream:
            _run(forward, images, WARM_PASSES)
            shared.barrier.wait(_BARRIER_SECONDS)
            start = time.perf_counter()
            _run(forward, images, 2)
            shared.warm.append((time.perf_counter() - start) / 2)
            shared.barrier.wait(_BARRIER_SECONDS)
            shared.began.append(time.perf_counter())
            _run(forward, images, shared.passes())
            shared.ended.append(time.perf_counter())
    except threading.BrokenBarrierError:
        pass
    except Exception as error:  # noqa: BLE001  raised by `rate`
        traceback.print_exc()
        shared.errors.append(error)
        shared.barrier.abort()


def _stream(images: torch.Tensor) -> AbstractContextManager[Any]:
    if images.device.type != "cuda":
        return nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(images.device))  # type: ignore[no-untyped-call]


def _run(forward: Forward, images: torch.Tensor, passes: int) -> None:
    for _ in range(passes):
        forward(images)
    if images.device.type == "cuda":
        torch.cuda.current_stream().synchronize()
