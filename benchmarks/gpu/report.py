"""report.md, made of whatever results there are: also after a cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.figures import (
    AGREEMENT,
    Record,
    best_setting,
    decoding_bounds,
    of_kind,
    ratio,
    target_line,
    workloads_of,
)
from benchmarks.gpu.records import one_line, read_records
from benchmarks.table import short

FILES = ("machine", "bare", "engine", "start", "profile")
_GIB = 2**30


def write_report(out: Path) -> None:
    """Write report.md next to the results."""
    found = {name: read_records(out / f"{name}.jsonl") for name in FILES}
    machine, bare, engine = found["machine"], found["bare"], found["engine"]
    sections: dict[str, Callable[[], list[str]]] = {
        "# What the engine reaches on this machine": lambda: [*_machine(machine), "", target_line(bare, engine)],
        "## The bare forward pass": lambda: _bare(bare),
        "## The engine": lambda: _engine(bare, engine),
        "## Does the CPU bind?": lambda: _decoding(bare, engine),
        "## From process start to the first mask": lambda: _start(found["start"]),
        "## Where the time goes": lambda: _profile(found["profile"]),
        "## Without what the image leaves out": lambda: _pruned(machine),
        "## Tests": lambda: _tests(out / "tests.txt"),
        "## Parts, and what was skipped or cut": lambda: _parts(found),
    }
    text = "\n\n".join("\n".join([title, "", *_lines(lines)]) for title, lines in sections.items())
    (out / "report.md").write_text(text + "\n", "utf-8")


def _lines(section: Callable[[], list[str]]) -> list[str]:
    """The lines of a section; why there are none, where results are not as expected: the other sections count."""
    try:
        return section()
    except Exception as error:  # noqa: BLE001
        return [f"This section could not be written: {one_line(error)}"]


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lay out a Markdown table; of no rows, a line that says so."""
    lines = [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    if not lines:
        return ["Not measured."]
    return [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns), *lines]


def figure(value: Any, scale: float = 1.0) -> str:
    """Three significant digits, or a dash for what was not measured."""
    return "–" if value is None else short(float(value) * scale)


def percent(value: Any) -> str:
    """A share, 0–1, as a percentage."""
    return "–" if value is None else f"{float(value):.1%}"


def _machine(records: Sequence[Record]) -> list[str]:
    lines = []
    for one in of_kind(records, "machine"):
        versions = ", ".join(f"{name} {version}" for name, version in one["versions"].items())
        lines.append(f"{one['processor']}, {one['cpus']} CPUs, {one['memory_gib']} GiB; {versions}.")
    lines += [
        f"{one['name']}, capability {one['capability']}, {figure(one['memory_bytes'], 1 / _GIB)} GiB, driver "
        f"{one['driver'] or 'unknown'}."
        for one in of_kind(records, "gpu")
    ]
    lines += [
        f"Copy within the device's memory: {figure(one['bytes_per_second'], 1e-9)} GB/s, read and written."
        for one in of_kind(records, "copy")
    ]
    lines += [
        f"bfloat16 product of {one['side']}² matrices: {figure(one['tflops'])} TFLOP/s."
        for one in of_kind(records, "matmul")
    ]
    lines += [
        f"First import of PyTorch on this machine: {figure(one['torch_seconds'])} s."
        for one in of_kind(records, "import")
    ]
    return lines or ["Not measured."]


def _bare(records: Sequence[Record]) -> list[str]:
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
                figure(best and best["peak_bytes"], 1 / _GIB),
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


def _engine(bare: Sequence[Record], engine: Sequence[Record]) -> list[str]:
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
                figure(one["gpu_peak_bytes"], 1 / _GIB),
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


def _decoding(bare: Sequence[Record], engine: Sequence[Record]) -> list[str]:
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


def _start(records: Sequence[Record]) -> list[str]:
    phases = of_kind(records, "phases")
    names = [name for name in (phases[0] if phases else {}) if name.endswith("_seconds")]
    columns = ("start", *(name.removesuffix("_seconds").replace("_", " ") for name in names))
    lines = table(columns, ([one["start"], *(figure(one[name]) for name in names)] for one in phases))
    whole = table(
        ("start of the engine", "first mask, s", "whole process, s"),
        ([one["start"], figure(one["first_mask"]), figure(one["whole"])] for one in of_kind(records, "engine")),
    )
    return ["Seconds of each phase, one after the other:", "", *lines, "", *whole]


def _profile(records: Sequence[Record]) -> list[str]:
    lines = []
    for one in of_kind(records, "profile"):
        shares = ", ".join(
            f"{kind} {percent(one['shares'][kind])} ({figure(taken)} ms)" for kind, taken in one["milliseconds"].items()
        )
        lines += [
            f"{one['workload']}, batch {one['batch']}: {figure(one['milliseconds_per_batch'])} ms a batch, "
            f"{figure(one['profiled_milliseconds_per_batch'])} while profiled: {shares}.",
            "",
            *table(
                ("kernel", "ms a batch", "calls"),
                ((f"`{top['name']}`", figure(top["milliseconds"]), figure(top["calls"])) for top in one["top"]),
            ),
            "",
        ]
    return lines or ["Not measured."]


def _pruned(records: Sequence[Record]) -> list[str]:
    lines = []
    for one in of_kind(records, "pruned"):
        verdict, missed = "All" if one["ok"] else "NOT ALL", ", ".join(one["missed"]) or "none"
        pruned, complete = one["seconds"], one["complete_seconds"]
        lines += [
            f"{verdict} of {one['cases']} cases ran as with all libraries; {one['removed_mb']} MB were left out.",
            f"Libraries missed: {missed}.",
            *[
                f"{what}: {figure(pruned.get(key))} s, with all libraries {figure(complete.get(key))} s."
                for key, what in (("device", "CUDA's start"), ("first_convolution", "First convolution"))
            ],
            *[f"- failed: {name}: {error}" for name, error in one["failed"].items()],
            *[f"- differs: {name}: {values}" for name, values in one["differs"].items()],
            *([f"- {one['error']}"] if one["error"] else []),
        ]
    return lines or ["Not checked: it needs PyTorch's CUDA build."]


def _tests(path: Path) -> list[str]:
    output = path.read_text("utf-8", "replace") if path.exists() else ""
    summary = [line.strip("= ") for line in output.splitlines() if " in " in line and line.startswith("=")]
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if not output:
        return ["Not run."]
    passed = sum(" PASSED" in line for line in output.splitlines())
    return [summary[-1] if summary else f"Cut: {passed} had passed.", *failed]


def _parts(found: dict[str, list[Record]]) -> list[str]:
    parts = [
        (one["name"], figure(one["seconds"]), "cut" if one["exit_code"] is None else one["exit_code"])
        for one in of_kind(found["machine"], "part")
    ]
    skipped = [f"- {one['what']}: {one['why']}" for records in found.values() for one in of_kind(records, "skipped")]
    return [*table(("part", "seconds", "exit code"), parts), "", *(skipped or ["Nothing was skipped."])]
