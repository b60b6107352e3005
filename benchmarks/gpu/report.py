"""Writes report.md from the available results, also after an interrupted run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.gpu.figures import (
    Record,
    of_kind,
    target_line,
)
from benchmarks.gpu.records import one_line, read_records
from benchmarks.gpu.report_speed import GIB, bare_section, decoding_section, engine_section, figure, percent, table

FILES = ("machine", "bare", "engine", "start", "profile")


def write_report(out: Path) -> None:
    """Write report.md to the folder of the results."""
    found = {name: read_records(out / f"{name}.jsonl") for name in FILES}
    machine, bare, engine = found["machine"], found["bare"], found["engine"]
    sections: dict[str, Callable[[], list[str]]] = {
        "# What the engine reaches on this machine": lambda: [*_machine(machine), "", target_line(bare, engine)],
        "## The bare forward pass": lambda: bare_section(bare),
        "## The engine": lambda: engine_section(bare, engine),
        "## Does the CPU bind?": lambda: decoding_section(bare, engine),
        "## From process start to the first mask": lambda: _start(found["start"]),
        "## Where the time goes": lambda: _profile(found["profile"]),
        "## Without what the image leaves out": lambda: _pruned(machine),
        "## Tests": lambda: _tests(out / "tests.txt"),
        "## Parts, and what was skipped or cut": lambda: _parts(found),
    }
    text = "\n\n".join("\n".join([title, "", *_lines(lines)]) for title, lines in sections.items())
    (out / "report.md").write_text(text + "\n", "utf-8")


def _lines(section: Callable[[], list[str]]) -> list[str]:
    """Return the lines of a section, or the error if its results are not as expected, so that others are written."""
    try:
        return section()
    except Exception as error:  # noqa: BLE001
        return [f"This section could not be written: {one_line(error)}"]


def _machine(records: Sequence[Record]) -> list[str]:
    lines = []
    for one in of_kind(records, "machine"):
        versions = ", ".join(f"{name} {version}" for name, version in one["versions"].items())
        lines.append(f"{one['processor']}, {one['cpus']} CPUs, {one['memory_gib']} GiB; {versions}.")
    lines += [
        f"{one['name']}, capability {one['capability']}, {figure(one['memory_bytes'], 1 / GIB)} GiB, driver "
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
