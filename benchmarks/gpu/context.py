"""The context of each part, and the extent of a full run and of a rehearsal."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.gpu.records import Records


@dataclass(frozen=True, slots=True)
class Workload:
    """A model on photographs of one size.

    Attributes:
        model: A name that `benchmarks.models.open_model` knows.
        side: Height and width of the photographs, pixels.
        file_bytes: Bytes of each file.
    """

    model: str
    side: int
    file_bytes: int

    @property
    def name(self) -> str:
        """Name of the workload in results."""
        return f"{self.model}-{self.side}"


@dataclass(frozen=True, slots=True)
class Scale:
    """The extent of the measurements.

    Attributes:
        workloads: Models and sizes, the most valuable first.
        seconds: Seconds of one measurement of the bare forward pass.
        max_images: Maximum batch size.
        engine_seconds: Seconds of one run of the engine, excluding its start.
        io_processes: Fixed numbers of helper processes to try in addition to `auto`.
        article_images: Number of images for the article's loop.
        starts: Number of repeated starts.
        profiled_batches: Number of batches to profile.
        matmul_side: Side of the matrices whose product is timed.
        copy_bytes: Bytes to copy to time memory.
    """

    workloads: tuple[Workload, ...]
    seconds: float
    max_images: int
    engine_seconds: float
    io_processes: tuple[int, ...]
    article_images: int
    starts: int
    profiled_batches: int
    matmul_side: int
    copy_bytes: int


FULL = Scale(
    workloads=(
        Workload("unet31m", 256, 50_000),
        Workload("example", 256, 50_000),
        Workload("resnet34", 256, 50_000),
        Workload("unet31m", 1024, 400_000),
        Workload("example", 512, 120_000),
    ),
    seconds=0.4,
    max_images=256,
    engine_seconds=9,
    io_processes=(14, 8, 4),
    article_images=48,
    starts=3,
    profiled_batches=20,
    matmul_side=8192,
    copy_bytes=4 << 30,
)
REHEARSAL = Scale(
    workloads=(Workload("tiny", 64, 10_000), Workload("tinyresnet", 64, 10_000)),
    seconds=0.05,
    max_images=4,
    engine_seconds=1.0,
    io_processes=(1,),
    article_images=2,
    starts=1,
    profiled_batches=3,
    matmul_side=256,
    copy_bytes=8 << 20,
)


@dataclass(frozen=True, slots=True)
class Context:
    """The context of a part.

    Attributes:
        out: Folder of the results.
        work: Folder for files that parts share: models, photographs, reference masks.
        rehearse: Whether this is a rehearsal on the CPU.
        deadline: Monotonic time at which the part must have ended.
        workloads: Number of workloads to measure, the most valuable first.
    """

    out: Path
    work: Path
    rehearse: bool
    deadline: float
    workloads: int = 99

    @property
    def device(self) -> str:
        """The device on which networks run."""
        return "cpu" if self.rehearse else "cuda"

    @property
    def scale(self) -> Scale:
        """The extent of the measurements."""
        whole = REHEARSAL if self.rehearse else FULL
        return replace(whole, workloads=whole.workloads[: self.workloads])

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def records(self, name: str) -> Records:
        """Return the results file of a part."""
        return Records(self.out / f"{name}.jsonl")

    def workload(self, name: str) -> Workload:
        """Return a workload by its name."""
        return next(one for one in self.scale.workloads if one.name == name)

    def arguments(self) -> list[str]:
        """Return the command line from which `context_from` recreates the context in another process."""
        given = ["--out", str(self.out), "--work", str(self.work), "--deadline", f"{self.deadline:.2f}"]
        given += ["--workloads", str(self.workloads)]
        return [*given, "--rehearse"] if self.rehearse else given


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `context_from` reads."""
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--deadline", type=float, required=True, help="deadline on the monotonic clock, in seconds")
    parser.add_argument("--workloads", type=int, required=True)
    parser.add_argument("--rehearse", action="store_true")


def context_from(options: argparse.Namespace) -> Context:
    """Create a context from the command line."""
    return Context(options.out, options.work, options.rehearse, options.deadline, options.workloads)
