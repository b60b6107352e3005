"""`cloudseg model check`: run a model on a folder of photographs, as a run would, and say what it would meet."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import logging
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cloudseg_ops.cli.check_engine import run_engine
from cloudseg_ops.cli.check_outcome import describe_commit, describe_network, print_outcome, print_shapes, read_outcome
from cloudseg_ops.cli.check_page import render_check_page
from cloudseg_ops.cli.check_photographs import find_photographs
from cloudseg_ops.cli.local_model import stage_local_model
from cloudseg_ops.cli.models import add_registry_options, fetch_arguments
from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.engine_command import engine_arguments
from cloudseg_ops.contracts.errors import LocalError, SettingsError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.registry import pull_model
from cloudseg_ops.storage.folder_store import FolderStore

REQUIREMENTS = ("torch==2.13.0", "numpy>=2")
"""What the engine needs in addition to cloudseg's own dependencies: the extra `engine`."""
_UNUSED = {
    "CLOUDSEG_INPUT_BUCKET": "images",
    "CLOUDSEG_OUTPUT_BUCKET": "output",
    "CLOUDSEG_STAGING_BUCKET": "staging",
    "CLOUDSEG_MODEL_REPOSITORY": "none",
}


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
    add_registry_options(check)
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
    # Of the variables that a run has, those that describe the model and the photographs count here, too. The buckets
    # are folders.
    settings = Settings.from_environment(_UNUSED | {name: value for name, value in os.environ.items() if value})
    photographs = find_photographs(options.images, options.count, settings.image_types)
    with tempfile.TemporaryDirectory(prefix="cloudseg-check-") as work:
        folders = {"images": options.images, "output": Path(work) / "output", "staging": Path(work) / "staging"}
        store = FolderStore(folders)
        layout = RunLayout(GcsUri("staging"), GcsUri("output"), "model-check")
        with _log_printed():
            model = _stage(store, layout, settings, options)
        print(f"model      {model.revision} ({describe_commit(model)}, md5 {model.md5})")
        more = f" of {photographs.found:,}" if photographs.found > len(photographs.taken) else ""
        others = f"; not photographs: {photographs.not_taken:,} other files" if photographs.not_taken else ""
        print(f"images     {len(photographs.taken):,}{more} photographs in {options.images}{others}")
        print(f"network    {describe_network(model)}, {', '.join(model.params.classes)}")
        arguments = engine_arguments(
            layout,
            {"index": 0, "uri": str(_write_chunk(store, layout, photographs.taken))},
            input_bucket="images",
            device=options.device or settings.device or "auto",
            options=(*settings.engine_options, "--log-format", "json"),
            previews="all",
        )
        facts = folders["staging"] / "facts.json"
        try:
            run_engine(folders, facts, arguments, verbose=options.verbose)
        finally:
            print_shapes(facts)
        outcome = read_outcome(store, layout, facts)
        print_outcome(model, outcome)
        options.page.write_text(render_check_page(model, outcome, store, layout), "utf-8")
    print(f"page       {options.page}")
    return 0


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


def _stage(store: FolderStore, layout: RunLayout, settings: Settings, options: argparse.Namespace) -> ModelRef:
    """Pull the model into the folder of STAGING, as `pull_model` does."""
    operators = settings.allowed_operators
    if (local := Path(options.model)).exists():
        path = options.path or os.environ.get("CLOUDSEG_MODEL_PATH")
        return stage_local_model(
            store, layout, local, path=path, params=settings.model_params, allowed_operators=operators
        )
    if not (options.repository or os.environ.get("CLOUDSEG_MODEL_REPOSITORY")):
        raise SettingsError(
            f"there is no file or folder {options.model!r}, and no model registry given: set "
            "CLOUDSEG_MODEL_REPOSITORY, or use --repository URL"
        )
    return pull_model(store, layout, revision=options.model, **fetch_arguments(options))


def _write_chunk(store: FolderStore, layout: RunLayout, photographs: Sequence[InputObject]) -> GcsUri:
    chunk = layout.chunk(0)
    store.write_lines(chunk, (photograph.to_line() for photograph in photographs))
    return chunk


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
