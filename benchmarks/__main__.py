"""The benchmark's entry point, `python -m benchmarks`: compares the engine with other programs; see README.md."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import Any

from benchmarks import frameworks
from benchmarks.contest import Contest
from benchmarks.emulator import running_emulator
from benchmarks.harness import Harness
from benchmarks.machine import describe_machine, machine_lines
from benchmarks.models import MissingModelError
from benchmarks.options import Options, parse_options
from benchmarks.rows import Row
from benchmarks.table import Outcome, format_number, ratios, row_lines, whole_ratios


def main(arguments: list[str]) -> int:
    """Run the benchmark, print the table and, if requested, write the JSON file."""
    options = parse_options(arguments)
    began = time.monotonic()
    machine = describe_machine()
    detected = {
        key: frameworks.detect(key, options.frameworks_python)
        for key in frameworks.MODULES
        if key in options.contenders
    }
    missing = {key: framework.missing for key, framework in detected.items() if framework.missing}
    versions = {
        frameworks.MODULES[key][2]: framework.version for key, framework in detected.items() if framework.version
    }
    head = [*machine_lines(machine), _settings_line(options, versions)]
    print("\n".join(head), flush=True)
    rows: list[dict[str, Any]] = []
    with running_emulator() as emulator:
        harness = Harness(options, emulator, machine["cpus"], missing, report=lambda line: print(line, file=sys.stderr))
        contest = Contest(harness)
        for row in options.rows:
            try:
                outcomes, facts = contest.run(row)
            except MissingModelError as error:
                print(f"\n{row.title}\n   not measured: {error}", flush=True)
                continue
            lines = _row_lines(row, outcomes, facts)
            print("\n".join(lines), flush=True)
            rows.append(_row_json(row, outcomes, facts))
            if options.json:
                _write_json(options, {"machine": machine, "versions": versions, "rows": rows})
    print(f"\ntook {(time.monotonic() - began) / 60:.1f} minutes")
    return 0


def _settings_line(options: Options, versions: dict[str, str]) -> str:
    parts = [
        f"{options.repeats} repeats of about {options.seconds:g} s each",
        f"every request waits {options.latency * 1000:g} ms",
        *(f"{name} {version}" for name, version in versions.items()),
        *(["d and e have the engine's network (--generous)"] if options.generous and versions else []),
        "rates: median (least–most); steady: over the later half of the masks",
    ]
    return "; ".join(parts)


def _row_lines(row: Row, outcomes: list[Outcome], facts: dict[str, Any]) -> list[str]:
    limit = facts["limit"]
    lines = row_lines(row.title, outcomes, free=row.model == "free")
    lines.append(f"   a's best setting: {limit['told']}; {len(limit['tried'])} tried")
    shown: set[str] = set()
    for tried in limit["tried"]:
        # A setting measured twice appears twice; only its first record has the whole preparation time.
        if tried["setting"]["compiler"] != "none" and tried["told"] not in shown:
            shown.add(tried["told"])
            failed = f" ({tried['error']})" if "error" in tried else ""
            prepared = f"after {tried.get('preparing_seconds', 0):.0f} s to prepare"
            lines.append(f"   {tried['told']}: {format_number(tried['images_per_second'])} images/s {prepared}{failed}")
    if limit["not_tried"]:
        lines.append(f"   {limit['not_tried']}")
    own, size = facts["photographs"]["own_bytes"], row.size_bytes
    lines.append(
        f"   photographs: {facts['photographs']['megapixels']:.2f} megapixels, {own / size:.0%} of a file its JPEG"
    )
    return lines


def _row_json(row: Row, outcomes: list[Outcome], facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "model": row.model,
        "size": row.kind,
        "file_bytes": row.size_bytes,
        **facts,
        "runs": [asdict(outcome) for outcome in outcomes],
        "ratios": {name: asdict(value) for name, value in ratios(outcomes).items()},
        "whole_ratios": {name: asdict(value) for name, value in whole_ratios(outcomes).items()},
    }


def _write_json(options: Options, fields: dict[str, Any]) -> None:
    assert options.json
    options_json = {
        "repeats": options.repeats,
        "seconds": options.seconds,
        "latency": options.latency,
        "generous": options.generous,
        "images": str(options.images) if options.images else None,
        "engine_options": options.engine_options,
        "beam_options": options.beam_options,
    }
    options.json.write_text(json.dumps({"options": options_json, **fields}, indent=1, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
