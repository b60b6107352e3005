"""The engine's command line."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.quantities import check_size, in_bytes
from cloudseg_ops.contracts.uris import GcsUri

MAX_PIXELS = 1 << 29
"""Default limit of pixels per image: enough for 20,000 × 20,000. The memory budget limits images as well."""

DeviceChoice = Literal["auto", "cuda", "cpu"]
Precision = Literal["auto", "fp32", "bf16"]
Compile = Literal["auto", "never", "always"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The parsed options of an engine process.

    Attributes:
        chunk: The input versions to segment, JSONL.
        model: The run's ModelRef, JSON.
        input: The bucket of the photographs.
        output: The bucket of masks and quarantine.
        results: The results file to write.
        run_id: The Airflow run, recorded in the metadata of written objects.
        progress: The object to which the chunk status is written while the engine works; None: not written.
        asked: When the task requested this engine, in seconds since the epoch; None: unknown.
        previews: Folder for previews of the first masks; None: no previews.
        preview_count: Number of previews.
        preview_all: Whether to make a preview of every further mask, too, for the run's gallery.
        chunk_index: Number of the chunk within its run.
        log_format: `text` for a terminal, `json` for Cloud Logging.
        progress_seconds: Seconds between two progress lines.
        batch: Maximum number of images in a forward pass; None: found by measuring.
        memory: Bytes that the engine may use; None: most of the memory of its container or machine.
        downloads: Threads that download and decode, per process.
        uploads: Threads that encode and upload, per process.
        io_processes: Helper processes that download, decode, encode and upload as well; None: chosen while it runs.
        max_pixels: Images with more pixels are quarantined as decompression bombs.
        threads: Total number of threads that compute on the CPU; None: the number of usable CPUs.
        device: The device for forward passes; `auto` is the GPU if one is visible, else the CPU.
        precision: `auto` is bfloat16, else TF32, if the device is faster in it and the masks stay the same; else
            float32.
        compile: Whether to compile the network on the CPU; `auto`: in long chunks.
        tether: Whether to stop, as on SIGTERM, when standard input is closed.
        expect_version: Version of the code that started the engine; None: unknown.
    """

    chunk: GcsUri
    model: GcsUri
    input: GcsUri
    output: GcsUri
    results: GcsUri
    run_id: str = ""
    progress: GcsUri | None = None
    asked: float | None = None
    previews: GcsUri | None = None
    preview_count: int = 12
    preview_all: bool = False
    chunk_index: int = 0
    log_format: Literal["text", "json"] = "text"
    progress_seconds: float = 10.0
    batch: int | None = None
    memory: int | None = None
    downloads: int = 32
    uploads: int = 32
    io_processes: int | None = None
    max_pixels: int = MAX_PIXELS
    threads: int | None = None
    device: DeviceChoice = "auto"
    precision: Precision = "auto"
    compile: Compile = "never"
    tether: bool = False
    expect_version: str | None = None


def expected_version(arguments: Sequence[str]) -> str | None:
    """Return the `--expect-version` of a command line, even if it has options that this engine does not know."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--expect-version")
    return str(known) if (known := parser.parse_known_args(arguments)[0].expect_version) else None


def usable_cpus() -> int:
    """Return the number of CPUs this process may use, by its affinity and the container's CPU quota."""
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
    except (OSError, ValueError):
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, math.ceil(int(quota) / int(period))))


def parse_options(arguments: Sequence[str]) -> EngineOptions:
    """Parse the command line.

    Raises:
        SystemExit: With status 2 and an error message if it is invalid; with status 0 after `--help`.
    """
    options = vars(_parser().parse_args(arguments))
    if options["chunk_index"] is None:
        options["chunk_index"] = _index_of(options["chunk"])
    return EngineOptions(**options)


def _parser() -> argparse.ArgumentParser:
    # No abbreviations: a new option must not make a command line of an older version ambiguous.
    parser = argparse.ArgumentParser(
        prog="python -m cloudseg_ops.engine",
        description="Segment the images of one chunk.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--chunk", type=_object, required=True, help="input versions, JSONL")
    add("--model", type=_object, required=True, help="the run's model.json")
    add("--input", type=_bucket, required=True, help="bucket of the photographs")
    add("--output", type=_bucket, required=True, help="bucket of masks and quarantine")
    add("--results", type=_object, required=True, help="results file to write")
    add("--run-id", default="", help="Airflow run, recorded in the metadata of masks")
    add("--progress", type=_object, help="object to write the chunk's status to while the engine works")
    add("--asked", type=_seconds, help="when the task requested this engine, in seconds since the epoch")
    add("--previews", type=_object, help="folder for previews of the first masks")
    add("--preview-count", type=_number(0), default=12, help="number of previews (12)")
    add("--preview-all", action="store_true", help="make a preview of every further mask, too")
    add("--chunk-index", type=_number(0), help="number of the chunk (taken from the name of its file, else 0)")
    add("--log-format", choices=("text", "json"), default="text")
    add("--progress-seconds", type=_seconds, default=10.0, help="seconds between progress lines (10)")
    add("--batch", type=_or_auto(_number(1)), default=None, help="maximum images per forward pass, or auto (auto)")
    add("--memory", type=_or_auto(_memory), default=None, help="main memory to use, such as 8Gi, or auto (auto)")
    add("--downloads", type=_number(1), default=32, help="threads that download and decode, per process (32)")
    add("--uploads", type=_number(1), default=32, help="threads that encode and upload, per process (32)")
    add(
        "--io-processes",
        type=_or_auto(_number(0)),
        default=None,
        help="helper processes for downloads and uploads, or auto (auto)",
    )
    add("--max-pixels", type=_number(1), default=MAX_PIXELS, help=f"quarantine images with more pixels ({MAX_PIXELS})")
    add("--threads", type=_or_auto(_number(1)), default=None, help="CPU threads that compute, or auto (auto)")
    add(
        "--device",
        choices=("auto", "cuda", "cpu"),
        default="auto",
        help="device to compute on: auto is cuda if an NVIDIA GPU is visible; a GPU that cannot be used is an error",
    )
    add("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    add(
        "--compile",
        choices=("auto", "never", "always"),
        default="never",
        help="compile the network on the CPU, which needs a C++ compiler; auto: only in long chunks (never)",
    )
    add("--tether", action="store_true", help="stop when standard input is closed")
    add(
        "--expect-version",
        help="version of the DAG's code; exit with status 3 if this engine is not compatible with it",
    )
    return parser


def _object(text: str) -> GcsUri:
    uri = _uri(text)
    if not uri.name:
        raise argparse.ArgumentTypeError(f"{text!r} names a bucket but no object in it; write gs://bucket/name")
    return uri


def _bucket(text: str) -> GcsUri:
    uri = _uri(text)
    if uri.name:
        raise argparse.ArgumentTypeError(f"{text!r} is more than a bucket name; write gs://bucket")
    return uri


def _uri(text: str) -> GcsUri:
    try:
        return GcsUri.parse(text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(least: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is too small; use {least} or more")
        return number

    return whole_number


def _memory(text: str) -> int:
    try:
        return in_bytes(check_size(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def _or_auto(read: Callable[[str], int]) -> Callable[[str], int | None]:
    def number_or_auto(text: str) -> int | None:
        return None if text == "auto" else read(text)

    return number_or_auto


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a valid number of seconds; use a number above 0")
    return seconds


def _index_of(chunk: GcsUri) -> int:
    found = re.search(r"(\d+)\.jsonl$", chunk.name)
    return int(found[1]) if found else 0
