"""The `cloudseg` command, with which an operator inspects runs from a terminal."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cloudseg_ops import __version__
from cloudseg_ops.cli.progress import add_progress, add_run, show_progress
from cloudseg_ops.config.pools import composer_pool_command, pool_command
from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.errors import CloudsegError, LocalError, ObjectNotFoundError, RunError, SettingsError
from cloudseg_ops.contracts.releases import RELEASE
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.contracts.versions import fits, image_version
from cloudseg_ops.registry import list_revisions
from cloudseg_ops.registry.revision_choices import composer_keep_command, keep_command
from cloudseg_ops.runs.audit import Audit, audit_run
from cloudseg_ops.storage import Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0: it is well. 1: inputs are lost, or the engine's image does not fit this code. 2: the command could not be
        carried out.
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
    """Print where a run's inputs are, and give the exit code."""
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
        raise RunError("which run? give its id, as the Airflow UI shows it: `cloudseg audit --run RUN_ID`")
    settings = Settings.from_environment()
    layout: RunLayout = settings.layout(options.run)
    try:
        audit = audit_run(Store.open(), layout, settings.input_bucket)
    except ObjectNotFoundError:
        raise RunError(
            f"run {options.run!r} has no snapshot at {layout.snapshot}: it took nothing in, or its id is another one; "
            f"runs are the folders of {GcsUri(settings.staging_bucket, 'runs/')}"
        ) from None
    return print_audit(options.run, audit, as_json=options.json)


def _version(image: str | None) -> int:
    print(f"cloudseg {RELEASE}")
    if not image:
        return 0
    found = image_version(image)
    print(f"image {found or 'of a version that its name does not tell'} ({image})")
    if found is None or fits(__version__, found):
        return 0
    print("THEY DO NOT FIT: the engine will refuse to run; deploy both from one revision")
    return 1


def _pool(options: argparse.Namespace) -> int:
    # Not by all settings: a workstation that operates Composer does not have them.
    name = os.environ.get("CLOUDSEG_POOL") or str(Settings.model_fields["pool"].default)
    slots = options.slots or _slots_of_environment()
    if _on_composer(options):
        command = composer_pool_command(options.composer, options.location, name, slots, project=options.project)
    else:
        command = pool_command(name, slots)
    return _carry_out(options, command)


def _revisions(options: argparse.Namespace) -> int:
    repository = options.repository or os.environ.get("CLOUDSEG_MODEL_REPOSITORY")
    if not repository:
        raise SettingsError("which registry? set CLOUDSEG_MODEL_REPOSITORY, or give --repository URL")
    on_composer = _on_composer(options)
    revisions = list_revisions(repository)
    if not options.refresh:
        print("\n".join(revisions) or "the registry has neither tags nor branches")
        return 0
    if on_composer:
        command = composer_keep_command(
            options.composer, options.location, repository, revisions, project=options.project
        )
    else:
        command = keep_command(repository, revisions)
    return _carry_out(options, command)


_COMMANDS = {"audit": _audit, "pool": _pool, "progress": show_progress, "revisions": _revisions}


def _on_composer(options: argparse.Namespace) -> bool:
    if (options.composer is None) != (options.location is None):
        raise SettingsError("a Composer environment is named by both: --composer ENVIRONMENT --location REGION")
    return options.composer is not None


def _carry_out(options: argparse.Namespace, command: Sequence[str]) -> int:
    if options.print:
        print(shlex.join(command))
        return 0
    if code := _run(command):
        print(f"cloudseg: the command ended with exit code {code}: {shlex.join(command)}", file=sys.stderr)
    return 2 if code else 0


def _slots_of_environment() -> int:
    text = os.environ.get("CLOUDSEG_POOL_SLOTS")
    if not text:
        raise SettingsError("how many slots? give --slots N, or set CLOUDSEG_POOL_SLOTS, which forecasts read as well")
    try:
        return _positive(text)
    except argparse.ArgumentTypeError as error:
        raise SettingsError(f"CLOUDSEG_POOL_SLOTS: {error}") from None


def _run(command: Sequence[str]) -> int:
    # The airflow of this Python is the one whose database is meant, whatever the PATH says.
    words = [sys.executable, "-m", *command] if command[0] == "airflow" else list(command)
    try:
        return subprocess.run(words, check=False).returncode  # noqa: S603
    except OSError as error:
        raise LocalError(
            f"`{words[0]}` cannot be run ({error.strerror}); install it, or run where it is: {shlex.join(command)}"
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cloudseg", description="Operate cloudseg.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "version",
        help="print the versions of this code and of the engine's image; exit 1 when they do not fit",
        description="Print the version of this code and, where CLOUDSEG_IMAGE names the engine's image, the version "
        "that its tag tells. Exit code 0: they fit, or one is not known; 1: the engine would refuse to run.",
    )
    audit = commands.add_parser(
        "audit",
        help="count where every input of a run is; exit 1 when one is lost",
        description="Count where every input version of a run is. Reads the CLOUDSEG_* variables of the environment. "
        "Exit code 0: every input is accounted for; 1: inputs are lost; 2: the audit could not be made.",
    )
    add_run(audit)
    audit.add_argument("--json", action="store_true", help="print JSON")
    add_progress(commands)
    _add_pool(commands)
    _add_revisions(commands)
    return parser


def _add_pool(commands: Any) -> None:
    pool = commands.add_parser(
        "pool",
        help="create the Airflow pool that bounds the chunks at once, or set its slots",
        description="Create the Airflow pool that bounds the chunks at once, deferred ones included, or set its slots. "
        "Its name is CLOUDSEG_POOL. Works on the Airflow of this Python, or, with --composer, on a Composer "
        "environment through gcloud. Exit code 0: it is there; 2: the command could not be carried out.",
    )
    pool.add_argument(
        "--slots", type=_positive, metavar="N", help="chunks at once: the GPUs there are (CLOUDSEG_POOL_SLOTS)"
    )
    _add_composer(pool)


def _add_revisions(commands: Any) -> None:
    revisions = commands.add_parser(
        "revisions",
        help="list the model revisions that the DAG's trigger form offers, or refresh what it offers",
        description="List the newest tags and the branches of the model registry, CLOUDSEG_MODEL_REPOSITORY. With "
        "--refresh, let the DAG's trigger form offer them, as each run that pulls a model does: on the Airflow of this "
        "Python, or, with --composer, on a Composer environment through gcloud. Exit code 0: done; 2: the registry "
        "could not be read, or the command could not be carried out.",
    )
    revisions.add_argument("--refresh", action="store_true", help="let the trigger form offer them")
    revisions.add_argument("--repository", metavar="URL", help="the registry, as the DAG's environment names it")
    _add_composer(revisions)


def _add_composer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--composer", metavar="ENVIRONMENT", help="a Composer environment")
    parser.add_argument("--location", metavar="REGION", help="its region")
    parser.add_argument("--project", help="its project; gcloud's own when left out")
    parser.add_argument("--print", action="store_true", help="print the command instead of running it")


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
