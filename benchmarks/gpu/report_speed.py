"""Sections of report.md about speed: the bare forward pass, the engine, and the bottleneck."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.gpu.figures import (
    AGREEMENT,
    Record,
    best_setting,
    decoding_bounds,
    of_kind,
    ratio,
    workloads_of,
)
from benchmarks.table import format_number

GIB = 2**30


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Format a Markdown table, or a line that says that there are no rows."""
    lines = [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    if not lines:
        return ["Not measured."]
    return [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns), *lines]


def figure(value: Any, scale: float = 1.0) -> str:
    """Format a number with three significant digits; a dash if it was not measured."""
    return "–" if value is None else format_number(float(value) * scale)


def percent(value: Any) -> str:
    """Format a share, 0–1, as a percentage."""
    return "–" if value is None else f"{float(value):.1%}"


def bare_section(records: Sequence[Record]) -> list[str]:
    floors = {one["workload"]: one for one in of_kind(records, "floor")}
    rows, details = [], []
    for workload in workloads_of(records):
        floor, best = floors.get(workload), best_setting(records, workload)
        eager = best_setting(records, workload, compiled=False)
        rows.append(
            (
                workload,
                figure(floor and floor["images_per_second"]),
                figure(floor and floor["images_per_second_by_layer"]),
                best["description"] if best else "none",
                figure(best and best["images_per_second"]),
                figure(best and best["tflops"]),
                percent(best and best["of_floor"]),
                figure(best and best["peak_bytes"], 1 / GIB),
                percent(best and best["agreement"]),
                figure(eager and eager["images_per_second"]),
            )
        )
        details += ["", f"{workload}, images/s: {_tried(records, workload)}."]
    columns = ("workload", "floor, images/s", "floor by layer", "best setting", "images/s", "TFLOP/s", "of the floor")
    more = ("peak GiB", f"agreement (≥ {AGREEMENT:.1%})", "best without compiler")
    return [*table((*columns, *more), rows), *details]


def _tried(records: Sequence[Record], workload: str) -> str:
    return "; ".join(
        f"{one['description']} {figure(one['images_per_second'])}"
        + (f" ({one['error']})" if "error" in one else "")
        + (" (does not agree)" if one.get("agreement", 1.0) < AGREEMENT else "")
        for one in of_kind(records, "setting")
        if one["workload"] == workload
    )


def engine_section(bare: Sequence[Record], engine: Sequence[Record]) -> list[str]:
    rows = []
    article = {one["workload"]: one for one in of_kind(engine, "article")}
    for one in of_kind(engine, "engine"):
        workload = one["workload"]
        rows.append(
            (
                workload,
                one["io_processes"],
                figure(one["images_per_second"]),
                figure(ratio(one, best_setting(bare, workload))),
                figure(ratio(one, best_setting(bare, workload, compiled=False))),
                figure(ratio(one, article.get(workload))),
                figure(one["cpu_seconds_per_image"], 1000),
                figure(one["cpus"]),
                figure(one["gpu_percent"]),
                figure(one["gpu_peak_bytes"], 1 / GIB),
                one["processes"],
                one["masks"],
                percent(one["agreement"]),
                percent(one["storage_cpu_seconds"] * one["images_per_second"] / one["storage_workers"]),
            )
        )
    columns = ("workload", "--io-processes", "images/s", "of best bare", "of best without compiler", "of the article's")
    more = ("CPU ms/image", "CPUs", "GPU %", "GPU GiB", "processes", "masks", "agreement", "storage busy")
    lines = table((*columns, *more), rows)
    lines += [
        "",
        *(f"The article's loop, {name}: {figure(one['images_per_second'])}." for name, one in article.items()),
    ]
    lines += [
        f"{one['workload']}, {one['io_processes']}: masks by second {' '.join(map(str, one['by_second']))}."
        for one in of_kind(engine, "engine")
    ]
    lines += [
        f"{one['engines']} engines on one GPU, {one['workload']}, --io-processes {one['io_processes']} each: "
        f"{figure(one['images_per_second'])} images/s, {figure(ratio(one, best_setting(bare, one['workload'])))} of "
        f"best bare; GPU {figure(one['gpu_percent'])} %, {figure(one['cpus'])} CPUs with the storage."
        for one in of_kind(engine, "sharing")
    ]
    return lines


def decoding_section(bare: Sequence[Record], engine: Sequence[Record]) -> list[str]:
    rows, lines = [], []
    for one in decoding_bounds(bare, engine):
        rows.append(
            (
                one.workload,
                figure(one.bare),
                figure(one.all_cores),
                f"{figure(one.decoding_cores)} of {one.cores}",
                f"{figure(one.engine_cores)} of {one.cores}",
                figure(one.nvjpeg),
            )
        )
        if one.decoding_binds:
            lines.append(f"{one.workload}: decoding binds. All cores decode less than the GPU computes.")
        elif one.cpu_binds:
            lines.append(
                f"{one.workload}: the CPU binds. The engine's work on each image needs more cores than there are."
            )
    columns = ("workload", "bare images/s", "Pillow, all cores", "cores to decode", "cores for the engine", "nvJPEG")
    rates = [
        f"{one['side']} px: Pillow decodes {figure(one['per_core'])} a second and core, and encodes "
        f"{figure(one['masks_encoded_per_core'])} masks."
        for one in of_kind(engine, "decode")
    ]
    return [*table(columns, rows), "", *rates, *(lines or ["The CPU binds on none of the workloads above."])]
