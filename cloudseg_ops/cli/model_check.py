"""`cloudseg model check`: run a model on a folder of photographs, as a run would, and say what it would meet."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import logging
import os
import shlex
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudseg_ops.cli.check_outcome import CheckOutcome, print_facts, print_outcome, read_outcome
from cloudseg_ops.cli.check_page import render_check_page
from cloudseg_ops.cli.local_model import stage_local_model
from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.engine_command import engine_arguments
from cloudseg_ops.contracts.engine_failure import PERMANENT_EXIT, permanent_failure
from cloudseg_ops.contracts.errors import (
    ChunkUnfinishedError,
    CloudsegError,
    EngineError,
    LocalError,
    SettingsError,
)
from cloudseg_ops.contracts.json_text import load_json
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.objects import IMAGE_TYPES, InputObject, is_ignored, is_image_name
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.registry import pull_model
from cloudseg_ops.storage.folder_store import GENERATION, FolderStore

REQUIREMENTS = ("torch==2.13.0", "numpy>=2")
"""What the engine needs in addition to cloudseg's own dependencies: the extra `engine`."""
_ENGINE = "cloudseg_ops.engine.check"
_LAST_LINES = 50


@dataclass(frozen=True, slots=True)
class Photographs:
    """The photographs of a folder that a check uses.

    Attributes:
        taken: The input versions.
        found: Number of photographs in the folder.
        not_taken: Number of other files.
    """

    taken: Sequence[InputObject]
    found: int
    not_taken: int


def add_model(commands: Any) -> None:
    """Add the `model` command to the subparsers."""
    model = commands.add_parser("model", help="check a model before a run uses it").add_subparsers(
        dest="model_command", required=True
    )
    check = model.add_parser(
        "check",
        help="run a model on a folder of photographs, and print what a run would meet",
        description="Resolve a model, load it, and segment photographs with the engine, on this machine and without a "
        "bucket. Prints shapes, classes, precision, speed and memory, and writes a page of the masks. Exit code 0: a "
        "run could use the model; 2: a run would end with the error that is printed.",
    )
    add = check.add_argument
    add("model", metavar="MODEL", help="a model of the registry, as a run names it; or a local folder or weights file")
    add("--images", metavar="FOLDER", type=Path, required=True, help="folder of photographs")
    add("--repository", metavar="URL", help="URL or path of the registry (CLOUDSEG_MODEL_REPOSITORY)")
    add("--path", help="path of the weights file in the registry or folder (CLOUDSEG_MODEL_PATH)")
    add("--count", type=_count, default=24, metavar="N", help="number of photographs, evenly chosen (24)")
    add("--page", type=Path, default=Path("model-check.html"), help="page to write (model-check.html)")
    add("--device", choices=("auto", "cuda", "cpu"), help="device to compute on (CLOUDSEG_DEVICE)")
    add("--verbose", action="store_true", help="print the engine's log")


def check_model(options: argparse.Namespace) -> int:
    """Run `cloudseg model check`.

    Returns:
        The exit code: 0.

    Raises:
        LocalError: PyTorch is not installed.
        SettingsError: The folder has no photographs, or no registry is given.
        CloudsegError: The error that a run with this model would end with.
    """
    _require_torch()
    photographs = find_photographs(options.images, options.count)
    with tempfile.TemporaryDirectory(prefix="cloudseg-check-") as work:
        folders = {"images": options.images, "output": Path(work) / "output", "staging": Path(work) / "staging"}
        store = FolderStore(folders)
        layout = RunLayout(GcsUri("staging"), GcsUri("output"), "model-check")
        with _log_printed():
            model = _stage(store, layout, options)
        print(f"model      {model.revision} (commit {model.commit[:12]}, md5 {model.md5})")
        more = f" of {photographs.found:,}" if photographs.found > len(photographs.taken) else ""
        others = f"; not photographs: {photographs.not_taken:,} other files" if photographs.not_taken else ""
        print(f"images     {len(photographs.taken):,}{more} photographs in {options.images}{others}")
        outcome = _run_engine(store, layout, folders, photographs.taken, options)
        print_outcome(model, outcome)
        options.page.write_text(render_check_page(model, outcome, store, layout), "utf-8")
    print(f"page       {options.page}")
    return 0


def find_photographs(folder: Path, count: int) -> Photographs:
    """Return photographs of a folder and its subfolders, by the rules that a run applies to the input bucket.

    Args:
        folder: The folder.
        count: Maximum number of photographs; if there are more, they are chosen evenly.

    Raises:
        SettingsError: There are none.
    """
    types = os.environ.get("CLOUDSEG_IMAGE_TYPES", "").replace(" ", "").lower().split(",")
    types = [name for name in types if name] or list(IMAGE_TYPES)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    images = [name for name in names if is_image_name(name, types)]
    if not images:
        found = f"{len(files)} other files" if files else "no files" if folder.is_dir() else "no such folder"
        raise SettingsError(f"{folder} has no photographs ({', '.join(types)}): {found}; correct --images")
    chosen = images if len(images) <= count else [images[index * len(images) // count] for index in range(count)]
    # Without a checksum, as in a listing of a bucket with a default Cloud KMS key.
    taken = [InputObject(name, GENERATION, names[name].stat().st_size, "") for name in chosen]
    return Photographs(taken, len(images), sum(not is_ignored(name) for name in names) - len(images))


def _require_torch() -> None:
    if missing := [name for name in ("torch", "numpy") if importlib.util.find_spec(name) is None]:
        raise LocalError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed, and `cloudseg model check` "
            f"runs the engine, which needs them: pip install {shlex.join(REQUIREMENTS)}"
        )


@contextlib.contextmanager
def _log_printed() -> Iterator[None]:
    """Print what cloudseg logs, as a run's task would show it: where parameters came from, or keys that it ignored."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("pull_model %(message)s"))
    log = logging.getLogger("cloudseg_ops")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


def _stage(store: FolderStore, layout: RunLayout, options: argparse.Namespace) -> ModelRef:
    """Pull the model into the folder of STAGING, as `pull_model` does."""
    path = options.path or os.environ.get("CLOUDSEG_MODEL_PATH")
    if (local := Path(options.model)).exists():
        return stage_local_model(store, layout, local, path)
    repository = options.repository or os.environ.get("CLOUDSEG_MODEL_REPOSITORY")
    if not repository:
        raise SettingsError(
            f"there is no file or folder {options.model!r}, and no model registry given: set "
            "CLOUDSEG_MODEL_REPOSITORY, or use --repository URL"
        )
    path = path or str(Settings.model_fields["model_path"].default)
    return pull_model(store, layout, repository=repository, revision=options.model, path=path)


def _run_engine(
    store: FolderStore,
    layout: RunLayout,
    folders: dict[str, Path],
    photographs: Sequence[InputObject],
    options: argparse.Namespace,
) -> CheckOutcome:
    """Segment the photographs in a process, and return its outcome.

    Raises:
        CloudsegError: The engine failed.
    """
    chunk = layout.chunk(0)
    store.write_lines(chunk, (photograph.to_line() for photograph in photographs))
    facts = folders["staging"] / "facts.json"
    arguments = engine_arguments(
        layout,
        {"index": 0, "uri": str(chunk)},
        input_bucket="images",
        device=options.device or os.environ.get("CLOUDSEG_DEVICE") or "auto",
        options=(*shlex.split(os.environ.get("CLOUDSEG_ENGINE_OPTIONS", "")), "--log-format", "json"),
        previews="all",
    )
    buckets = [word for name, folder in folders.items() for word in ("--bucket", f"{name}={folder}")]
    command = [sys.executable, "-m", _ENGINE, "--facts", str(facts), *buckets, *arguments]
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:  # noqa: S603  this Python
        for line in engine.stdout or ():
            lines.append(line)
            _show(line, verbose=options.verbose)
        code = engine.wait()
    if code:
        if facts.is_file():
            print_facts(facts)
        raise _engine_error(code, lines)
    return read_outcome(store, layout, facts)


def _show(line: str, *, verbose: bool) -> None:
    """Print a line of the engine's log: all of them, or only warnings except those that the outcome repeats."""
    try:
        record = load_json(line)
        severity, message = str(record["severity"]), str(record["message"])
    except (ValueError, KeyError, TypeError):
        severity, message = "INFO", line.rstrip()
    if verbose or (severity == "WARNING" and not message.startswith("quarantine ")):
        print(f"engine     {severity.lower()}: {message}", file=sys.stderr)


def _engine_error(code: int, lines: Sequence[str]) -> CloudsegError:
    """Return the error in the last lines of the engine's log."""
    found = permanent_failure(lines, "a run would end with this error")
    if found is None:
        last = "".join(lines)[-1000:].strip()
        what = (
            f"was ended by signal {-code}, as when memory is exhausted" if code < 0 else f"ended with exit code {code}"
        )
        return EngineError(f"the engine {what}; the end of its log: {last or 'empty'}")
    return found if code == PERMANENT_EXIT else ChunkUnfinishedError(str(found))


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
