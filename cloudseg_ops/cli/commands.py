"""The `cloudseg` command, with which operators inspect runs and configure Airflow from a terminal."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cloudseg_ops import __version__
from cloudseg_ops.cli.airflow_commands import add_composer, check_composer, run_airflow_command
from cloudseg_ops.cli.model_check import add_model, check_model
from cloudseg_ops.cli.models import add_registry, add_resolve, resolve_model, run_registry
from cloudseg_ops.cli.progress import add_progress, add_run, show_progress
from cloudseg_ops.config.pools import pool_command
from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.errors import CloudsegError, ObjectNotFoundError, RunError, SettingsError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.contracts.versions import RELEASE, fits, image_version
from cloudseg_ops.registry import list_revisions
from cloudseg_ops.registry.revision_choices import store_command
from cloudseg_ops.runs.audit import Audit, audit_run
from cloudseg_ops.storage import Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code. 0: success. 1: inputs are lost, or the engine's image is not compatible with this code. 2: the
        command failed.
    """
    options = _parser().parse_args(arguments)
    if options.command == "version":
        return _version(os.environ.get("CLOUDSEG_IMAGE"))
    try:
        return _COMMANDS[options.command](options)
    except CloudsegError as error:
        print(f"cloudseg: {error}", file=sys.stderr)
        return 2


def print_audit(run_id: str, audit: Audit, *, as_json: bool) -> int:
    """Print where the inputs of a run are, and return the exit code.

    Args:
        run_id: The run.
        audit: Its audit.
        as_json: Print JSON instead of text.
    """
    if as_json:
        print(json.dumps({"run_id": run_id, "holds": audit.holds, **asdict(audit)}))
    else:
        width = max(map(len, audit.places))
        print(f"run {run_id}: {audit.objects} input versions")
        for place, count in audit.places.items():
            print(f"  {place:<{width}}  {count}")
        for version in audit.lost:
            print(f"  lost: {version}")
        print("every input is accounted for" if audit.holds else "INPUTS ARE LOST")
    return 0 if audit.holds else 1


def _audit(options: argparse.Namespace) -> int:
    if options.run is None:
        raise RunError("no run given; name one by its id in the Airflow UI: `cloudseg audit --run RUN_ID`")
    settings = Settings.from_environment()
    layout: RunLayout = settings.layout(options.run)
    try:
        audit = audit_run(Store.open(), layout, settings.input_bucket)
    except ObjectNotFoundError:
        raise RunError(
            f"run {options.run!r} has no snapshot at {layout.snapshot}: it had no inputs, or the id is wrong; the "
            f"folders in {GcsUri(settings.staging_bucket, 'runs/')} are the runs"
        ) from None
    return print_audit(options.run, audit, as_json=options.json)


def _version(image: str | None) -> int:
    print(f"cloudseg {RELEASE}")
    if not image:
        return 0
    found = image_version(image)
    print(f"image {found or 'of unknown version'} ({image})")
    if found is None or fits(__version__, found):
        return 0
    print("NOT COMPATIBLE: the engine will refuse to run; deploy code and image from the same revision")
    return 1


def _pool(options: argparse.Namespace) -> int:
    # Not from Settings: a workstation that manages Composer has none of the DAG's variables.
    name = os.environ.get("CLOUDSEG_POOL") or str(Settings.model_fields["pool"].default)
    slots = options.slots or _slots_of_environment()
    return run_airflow_command(options, pool_command(name, slots))


def _revisions(options: argparse.Namespace) -> int:
    repository = options.repository or os.environ.get("CLOUDSEG_MODEL_REPOSITORY")
    if not repository:
        raise SettingsError("no model registry given; set CLOUDSEG_MODEL_REPOSITORY, or use --repository URL")
    check_composer(options)
    revisions = list_revisions(repository)
    if not options.refresh:
        print("\n".join(revisions) or "the registry has neither tags nor branches")
        return 0
    return run_airflow_command(options, store_command(repository, revisions))


_COMMANDS = {
    "audit": _audit,
    "model": check_model,
    "pool": _pool,
    "progress": show_progress,
    "registry": run_registry,
    "resolve": resolve_model,
    "revisions": _revisions,
}


def _slots_of_environment() -> int:
    text = os.environ.get("CLOUDSEG_POOL_SLOTS")
    if not text:
        raise SettingsError(
            "no number of slots given; use --slots N, or set CLOUDSEG_POOL_SLOTS, which forecasts use as well"
        )
    try:
        return _positive(text)
    except argparse.ArgumentTypeError as error:
        raise SettingsError(f"CLOUDSEG_POOL_SLOTS: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cloudseg", description="Operate cloudseg.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "version",
        help="print the versions of this code and of the engine's image; exit with 1 if they are not compatible",
        description="Print the version of this code and, if CLOUDSEG_IMAGE names the engine's image, the version "
        "in its tag. Exit code 0: they are compatible, or one is unknown; 1: the engine would refuse to run.",
    )
    audit = commands.add_parser(
        "audit",
        help="count where the inputs of a run are; exit with 1 if one is lost",
        description="Count where the input versions of a run are. Reads the CLOUDSEG_* environment variables. "
        "Exit code 0: every input is accounted for; 1: inputs are lost; 2: the audit failed.",
    )
    add_run(audit)
    audit.add_argument("--json", action="store_true", help="print JSON")
    add_progress(commands)
    add_model(commands)
    _add_pool(commands)
    _add_revisions(commands)
    add_resolve(commands)
    add_registry(commands)
    return parser


def _add_pool(commands: Any) -> None:
    pool = commands.add_parser(
        "pool",
        help="create the Airflow pool that limits concurrent chunks, or set its slots",
        description="Create the Airflow pool that limits concurrent chunks, including deferred ones, or set its slots. "
        "Its name is CLOUDSEG_POOL. Works on the Airflow of this Python, or, with --composer, on a Composer "
        "environment through gcloud. Exit code 0: the pool exists with these slots; 2: the command failed.",
    )
    pool.add_argument(
        "--slots",
        type=_positive,
        metavar="N",
        help="maximum number of concurrent chunks: the number of GPUs (CLOUDSEG_POOL_SLOTS)",
    )
    add_composer(pool)


def _add_revisions(commands: Any) -> None:
    revisions = commands.add_parser(
        "revisions",
        help="list the model revisions for the DAG's trigger form, or update the form",
        description="List the stages and versions of artifacts, the newest tags and the branches of the model "
        "registry, CLOUDSEG_MODEL_REPOSITORY. With --refresh, update the revisions in the DAG's trigger form, as each "
        "run that pulls a model does: in the Airflow of this Python, or, with --composer, in a Composer environment "
        "through gcloud. Exit code 0: success; 2: the registry could not be read, or the command failed.",
    )
    revisions.add_argument("--refresh", action="store_true", help="update the revisions in the trigger form")
    revisions.add_argument(
        "--repository", metavar="URL", help="URL of the registry (CLOUDSEG_MODEL_REPOSITORY), as the DAG uses it"
    )
    add_composer(revisions)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
