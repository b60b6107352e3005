"""Checks that PyTorch works on a GPU without the files that the image leaves out (slim/removed.toml).

    python -m benchmarks.gpu.slim                    # needs PyTorch as PyPI ships it, and a GPU
    python -m benchmarks.gpu.slim --device cpu       # a rehearsal

It mirrors site-packages by symbolic links, without the files that the list removes and with the stand-ins, and runs
networks in a process that sees only the mirror, then in the complete installation. It prints one JSON line:

- `ok`: all cases that run in the complete installation ran, with the same results, and no library was missed.
- `missed`: removed libraries that the process looked for or called.
- `failed`, `failed_complete`: cases that raised, with their error; `differs`: cases with another result.
- `seconds`, `complete_seconds`: import, CUDA's start, first convolution, all cases.
- `left_out`: the error raised for a network that needs a removed feature (on a GPU).
- `unmatched`: patterns of the list that match no file, for example with another PyTorch version.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.gpu.slim_cases import LEFT_OUT

if TYPE_CHECKING:
    from slim import Entry

_REPOSITORY = Path(__file__).resolve().parents[2]
_TOLERANCE = 2e-2
"""Relative: the complete installation may choose other kernels."""
_LIMIT = 300


def main() -> None:
    """Check and print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--site-packages", type=Path, help="folder with torch (where this Python has it)")
    parser.add_argument("--keep", default="", help="features to keep, like KEEP of scripts/image.sh")
    options = parser.parse_args()
    import torch

    result = check(
        options.site_packages or site_packages_of(torch.__file__),
        options.device,
        options.keep.replace(",", " ").split(),
    )
    print(json.dumps(result), flush=True)
    sys.exit(0 if result["ok"] else 1)


def check(site_packages: Path, device: str, keep: Sequence[str]) -> dict[str, Any]:
    """Run the cases in a pruned mirror of an installation and in the installation itself.

    Args:
        site_packages: The folder that holds torch and nvidia.
        device: cuda or cpu.
        keep: Features to keep.
    """
    sys.path.insert(0, str(_REPOSITORY / "docker" / "inference"))
    from slim import matches, read_entries, selected

    entries = selected(read_entries(), "cuda", keep)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "site-packages"
        removed, size = mirror(site_packages, tree, entries)
        pruned = _run(tree, device, "cases", removed)
        left_out = {
            name: _run(tree, device, name, removed)["error"]
            for name in LEFT_OUT
            if device == "cuda" and name not in keep
        }
    complete = _run(site_packages, device, "cases", {})
    unmatched = [p for entry in entries for p in entry.paths if not any(site_packages.glob(p))]
    differs = _differences(pruned["results"], complete["results"])
    failed = pruned["failed"].keys() - complete["failed"].keys()
    return {
        "check": "slim",
        "ok": bool(pruned["results"]) and not (failed or pruned["error"] or pruned["missed"] or differs),
        **{name: pruned["about"].get(name) for name in ("device", "torch", "cuda", "cudnn")},
        "removed_mb": round(size / 1e6),
        "entries": sum(bool(matches(entry, site_packages, strict=False)) for entry in entries),
        "unmatched": unmatched,
        "cases": len(pruned["results"]),
        "failed": pruned["failed"],
        "failed_complete": complete["failed"],
        "differs": differs,
        "missed": pruned["missed"],
        "error": pruned["error"],
        "seconds": pruned["seconds"],
        "complete_seconds": complete["seconds"],
        "left_out": left_out,
    }


def mirror(site_packages: Path, tree: Path, entries: Sequence[Entry]) -> tuple[dict[str, Path], int]:
    """Mirror a site-packages folder by symbolic links, without what the entries remove.

    Returns:
        The removed libraries by the names under which they are loaded, stand-ins included; and the bytes saved.
    """
    from slim import library_stand_in, matches

    removed_paths: set[Path] = set()
    stand_ins: dict[Path, bytes] = {}
    for entry in entries:
        for path in matches(entry, site_packages, strict=False):
            if entry.replace:
                stand_ins[path] = library_stand_in(path, entry.features)
            removed_paths.add(path)
    size = 0
    removed = {}
    for folder, folders, files in os.walk(site_packages):
        here = Path(folder)
        inside = here in removed_paths or not removed_paths.isdisjoint(here.parents)
        folders[:] = [name for name in folders if name != "__pycache__"]
        into = tree / here.relative_to(site_packages)
        if not inside:
            into.mkdir(parents=True, exist_ok=True)
        for name in files:
            path = here / name
            if inside or path in removed_paths:
                size += path.stat().st_size
                if ".so" in name:
                    removed[name] = path.resolve()
                if path in stand_ins:
                    (into / name).write_bytes(stand_ins[path])
            else:
                (into / name).symlink_to(path)
    return removed, size


def site_packages_of(module: str) -> Path:
    """Return the site-packages folder of a module, given its `__file__`."""
    return Path(module).resolve().parents[1]


def _run(site_packages: Path, device: str, probe: str, removed: dict[str, Path]) -> dict[str, Any]:
    """Run the probe with one site-packages folder, and read from the linker's log which libraries it looked for."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(site_packages), str(_REPOSITORY)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TORCH_LOGS": "-torch.utils.flop_counter",
            "LD_DEBUG": "libs",
            "LD_DEBUG_OUTPUT": f"{folder}/linker",
        }
        command = [sys.executable, "-S", "-m", "benchmarks.gpu.slim_cases", device, probe]
        started = time.monotonic()
        try:
            done = subprocess.run(
                command, cwd=_REPOSITORY, env=environment, capture_output=True, text=True, timeout=_LIMIT, check=False
            )
            output, stderr, status = done.stdout, done.stderr, done.returncode
        except subprocess.TimeoutExpired:
            output, stderr, status = "", f"no end after {_LIMIT} s", -1
        linker = "".join(path.read_text(errors="replace") for path in Path(folder).glob("linker.*"))
    searched = set(re.findall(r"find library=(\S+) \[", linker)) & removed.keys()
    called = set(re.findall(r"cloudseg: (\w+) was called", stderr))
    lines = [line for line in output.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    loaded = {Path(path).name for path in found.get("mapped", []) if Path(path) in removed.values()}
    stand_ins = {name for name in searched if any(site_packages.glob(f"nvidia/*/lib/{name}"))}
    return {
        "results": found.get("results", {}),
        "failed": found.get("failed", {}),
        "about": found.get("about", {}),
        "seconds": {**found.get("seconds", {}), "process": round(time.monotonic() - started, 2)},
        "missed": sorted((searched - stand_ins) | called | loaded),
        "error": "" if status == 0 else f"exit status {status}: {' / '.join(stderr.strip().splitlines()[-3:])[-600:]}",
    }


def _differences(pruned: dict[str, float], complete: dict[str, float]) -> dict[str, list[float]]:
    return {
        name: [value, complete[name]]
        for name, value in pruned.items()
        if name in complete and abs(value - complete[name]) > _TOLERANCE * max(abs(complete[name]), 1e-3)
    }


if __name__ == "__main__":
    main()
