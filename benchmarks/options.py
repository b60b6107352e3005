"""The benchmark's command line."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.planning import CONTENDERS
from benchmarks.rows import ALL, Row, choose_rows


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the benchmark.

    Attributes:
        rows: Rows of the table.
        contenders: Keys of `CONTENDERS`.
        repeats: How often each contender is measured in a row.
        seconds: Approximate steady-state seconds of each measurement.
        latency: Delay of each request to the emulator, seconds.
        images: Folder of photographs; None: generated scenes.
        generous: Give d and e the engine's network.
        compilers: Try compilers in a's search.
        lanes: Which kinds of lanes a's search tries: `both`, or only `threads`, which starts no processes.
        engine_options: Command-line options for the engine.
        beam_options: Options for Beam's pipeline; empty: those of `benchmarks.beam`.
        json: JSON file for all figures; None: write none.
        frameworks_python: Python interpreter of the environment of d and e.
        model_python: Python interpreter of the environment with the libraries whose networks are exported.
        cache: Folder for photographs and weights.
    """

    rows: tuple[Row, ...]
    contenders: tuple[str, ...]
    repeats: int
    seconds: float
    latency: float
    images: Path | None
    generous: bool
    compilers: bool
    lanes: str
    engine_options: tuple[str, ...]
    beam_options: tuple[str, ...]
    json: Path | None
    frameworks_python: Path
    model_python: Path
    cache: Path


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line.

    Raises:
        SystemExit: With status 2 and a line that says what is wrong.
    """
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    state = given.pop("state")
    try:
        given["rows"] = tuple(choose_rows(_split(given["rows"])))
    except ValueError as error:
        parser.error(str(error))
    contenders = _split(given["contenders"])
    if unknown := set(contenders) - set(CONTENDERS):
        parser.error(f"--contenders: {', '.join(sorted(unknown))}: there are {', '.join(CONTENDERS)}")
    given["contenders"] = tuple(key for key in CONTENDERS if key in contenders)
    for name in ("engine_options", "beam_options"):
        given[name] = tuple(shlex.split(given[name]))
    given["frameworks_python"] = given["frameworks_python"] or state / "bench-venv" / "bin" / "python"
    given["model_python"] = given["model_python"] or state / "model-venv" / "bin" / "python"
    return Options(**given, cache=state / "bench")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the engine against the limit of the machine, the article's loop, Beam and Ray Data.",
        epilog="rows: " + ", ".join(row.name for row in ALL),
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--rows",
        default="",
        help="names or patterns, with commas: `unet31m-*`, `all`; default: eleven, about an hour",
    )
    add(
        "--contenders",
        default=",".join(CONTENDERS),
        help=", ".join(f"{key} {name}" for key, name in CONTENDERS.items()),
    )
    add("--repeats", type=int, default=3, help="how often each contender is measured in a row (3)")
    add("--seconds", type=float, default=4.0, help="about how long a measurement is in steady state (4)")
    add("--latency", type=float, default=0.030, help="delay of each storage request in seconds (0.030)")
    add("--images", type=Path, help="folder of photographs, cut to the rows' sizes; default: generated scenes")
    add("--generous", action="store_true", help="give d and e folded batch norm, channels last, bf16, batches by shape")
    add("--no-compilers", dest="compilers", action="store_false", help="do not try compilers for a")
    add("--lanes", choices=("both", "threads"), default="both", help="kinds of lanes to try for a (both)")
    add("--engine-options", default="", help="options for the engine, in one string")
    add("--beam-options", default="", help="options for Beam's pipeline, in one string")
    add("--json", type=Path, help="file to write all figures to, as JSON")
    add("--frameworks-python", type=Path, help="Python that has Beam and Ray (STATE/bench-venv/bin/python)")
    add("--model-python", type=Path, help="Python that has the networks' libraries (STATE/model-venv/bin/python)")
    add("--state", type=Path, default=Path(".cloudseg"), help="folder for caches and environments (.cloudseg)")
    return parser


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
