"""Runs a command of Airflow's: on the Airflow of this Python, or on a Composer environment through gcloud."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence

from cloudseg_ops.contracts.errors import LocalError, SettingsError


def add_composer(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the command runs, and whether it is printed instead."""
    parser.add_argument("--composer", metavar="ENVIRONMENT", help="a Composer environment")
    parser.add_argument("--location", metavar="REGION", help="its region")
    parser.add_argument("--project", help="its project; gcloud's own when left out")
    parser.add_argument("--print", action="store_true", help="print the command instead of running it")


def check_composer(options: argparse.Namespace) -> None:
    """Check the options of `add_composer`.

    Raises:
        SettingsError: Only one of `--composer` and `--location` is given.
    """
    if (options.composer is None) != (options.location is None):
        raise SettingsError("a Composer environment needs both options: --composer ENVIRONMENT --location REGION")


def run_airflow_command(options: argparse.Namespace, command: Sequence[str]) -> int:
    """Run or print a command.

    Args:
        options: The options of `add_composer`.
        command: `airflow`, a group, a command and its arguments.

    Returns:
        The exit code of `cloudseg`.

    Raises:
        SettingsError: Only one of `--composer` and `--location` is given.
        LocalError: The program cannot be run.
    """
    check_composer(options)
    if options.composer is not None:
        command = composer_command(command, options.composer, options.location, project=options.project)
    if options.print:
        print(shlex.join(command))
        return 0
    if code := _run(command):
        print(f"cloudseg: the command ended with exit code {code}: {shlex.join(command)}", file=sys.stderr)
    return 2 if code else 0


def composer_command(
    command: Sequence[str], environment: str, location: str, *, project: str | None = None
) -> list[str]:
    """Return the gcloud command that runs an Airflow command on a Composer environment.

    >>> " ".join(composer_command(["airflow", "pools", "get", "gpus"], "prod", "europe-west4"))
    'gcloud composer environments run prod --location europe-west4 pools get -- gpus'

    Args:
        command: `airflow`, a group, a command and its arguments.
        environment: Name of the Composer environment.
        location: Its region.
        project: Its project; None: the one that gcloud is set to.
    """
    _, group, verb, *arguments = command
    where = [environment, "--location", location, *(["--project", project] if project else [])]
    return ["gcloud", "composer", "environments", "run", *where, group, verb, "--", *arguments]


def _run(command: Sequence[str]) -> int:
    # The airflow of this Python uses the right database; the one on the PATH may be another installation.
    program = [sys.executable, "-m", *command] if command[0] == "airflow" else list(command)
    try:
        return subprocess.run(program, check=False).returncode  # noqa: S603
    except OSError as error:
        raise LocalError(
            f"`{program[0]}` cannot be run ({error.strerror}); install it, or run this command on a machine that has "
            f"it: {shlex.join(command)}"
        ) from None
