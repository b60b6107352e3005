"""The command line for deliveries."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cloudseg_delivery import checks
from cloudseg_delivery.deploying import DeployOptions, deploy, roll_back
from cloudseg_delivery.deployment import Deployment
from cloudseg_delivery.programs import Programs
from cloudseg_delivery.smoke import Patience
from cloudseg_delivery.targets import load_target
from cloudseg_delivery.tree import lay_out
from cloudseg_ops.contracts.errors import CloudsegError, DeliveryRefusedError, RollBackError

DONE = 0
FAILED = 1
REFUSED = 2
INCONSISTENT = 3

_ROOT = Path(__file__).parents[1]
_PATIENCE = Patience()
_ZERO_IMAGE = "registry.invalid/engine@sha256:" + "0" * 64


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Returns:
        0: success. 1: it failed, and the last good release, if any, is in use again. 2: it was refused, and nothing was
        changed. 3: it failed, and so did the rollback; the environment needs attention.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except RollBackError as error:
        return _print_error(error, INCONSISTENT)
    except DeliveryRefusedError as error:
        return _print_error(error, REFUSED)
    except CloudsegError as error:
        return _print_error(error, FAILED)
    except KeyboardInterrupt:
        return _print_error(
            "interrupted: the environment may be between two releases. Deliver again, or run `make rollback`",
            INCONSISTENT,
        )
    return DONE


def _print_error(error: CloudsegError | str, code: int) -> int:
    print(f"cloudseg: {error}", file=sys.stderr)
    return code


def _print_line(line: str) -> None:
    print(line, flush=True)


def _deploy(options: argparse.Namespace) -> None:
    target = load_target(_ROOT, options.environment)
    programs = Programs(_ROOT, _print_line, dry_run=options.dry_run)
    commit = checks.require_clean_tree(programs)
    if not options.verified:
        checks.require_settings(dict(target.variables), _ZERO_IMAGE)
        checks.require_checks(_ROOT)
        if checks.require_clean_tree(programs) != commit:
            raise DeliveryRefusedError("another commit was checked out while the checks ran; deliver again")
    deployment = Deployment.open(target, programs, _patience(options))
    deploy_options = DeployOptions(options.drain_seconds, options.take_over, downgrade=options.downgrade)
    _print_line(deploy(deployment, commit, deploy_options))


def _roll_back(options: argparse.Namespace) -> None:
    programs = Programs(_ROOT, _print_line)
    deployment = Deployment.open(load_target(_ROOT, options.environment), programs, _patience(options))
    _print_line(
        roll_back(
            deployment,
            options.release or None,
            DeployOptions(options.drain_seconds, options.take_over, now=options.now),
        )
    )


def _status(options: argparse.Namespace) -> None:
    programs = Programs(_ROOT, _print_line)
    deployment = Deployment.open(load_target(_ROOT, options.environment), programs, _PATIENCE)
    state = deployment.bucket.read_state()
    release = deployment.bucket.read_release(state.good) if state.good else None
    _print_line(f"release {state.good or 'none yet'}")
    if release:
        _print_line(f"commit {release.commit}\nimage {release.image}")
    if state.tried:
        _print_line(f"started since, not completed: {', '.join(state.tried)}")
    _print_line(f"kept: {', '.join(state.history) or 'none'}")


def _target(options: argparse.Namespace) -> None:
    target = load_target(_ROOT, options.environment)
    _print_line(f"identity_provider={target.identity_provider}\ndeployer={target.deployer}\nproject={target.project}")


def _layout(options: argparse.Namespace) -> None:
    if options.folder.exists() and any(options.folder.iterdir()):
        raise DeliveryRefusedError(f"{options.folder} is not empty; name an empty or new folder")
    files = lay_out(_ROOT, options.folder, options.commit)
    _print_line(f"wrote {len(files)} files to {options.folder}")


def _tag(options: argparse.Namespace) -> None:
    checks.require_tag(options.tag, (_ROOT / "CHANGELOG.md").read_text("utf-8"))
    _print_line(f"{options.tag} matches this version")


def _patience(options: argparse.Namespace) -> Patience:
    return Patience(
        parse_seconds=options.parse_seconds, run_seconds=options.run_seconds, poll_seconds=options.poll_seconds
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cloudseg_delivery",
        description="Deploy cloudseg to a Composer environment. Exit codes: 0 success; 1 failed and rolled back; "
        "2 refused, nothing was changed; 3 failed, and the rollback failed too.",
    )
    commands = parser.add_subparsers(required=True)

    deploying = commands.add_parser("deploy", help="deploy the checked-out commit to an environment, and test it there")
    _on_environment(deploying)
    deploying.add_argument("--dry-run", action="store_true", help="print what would be changed, without changing it")
    deploying.add_argument(
        "--verified", action="store_true", help="skip the checks; they have already passed for this commit"
    )
    deploying.add_argument(
        "--downgrade", action="store_true", help="deliver even if the commit in use is not an ancestor of this one"
    )
    deploying.set_defaults(run=_deploy)

    rollback = commands.add_parser("rollback", help="return to an earlier good release")
    _on_environment(rollback)
    rollback.add_argument(
        "--release", help="release (default: the last good one after a failure, else the one before it)"
    )
    rollback.add_argument("--now", action="store_true", help="do not wait for running DAG runs")
    rollback.set_defaults(run=_roll_back)

    for name, run, help_text in (
        ("status", _status, "print which release an environment has"),
        ("target", _target, "print the identity provider, deployer and project of an environment, as key=value"),
    ):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("environment")
        command.set_defaults(run=run)

    layout = commands.add_parser(
        "layout", help="write dags/ and plugins/ to a folder, as they are uploaded to a bucket"
    )
    layout.add_argument("folder", type=Path)
    layout.add_argument("--commit", default="", help="commit to record in the files")
    layout.set_defaults(run=_layout)

    tag = commands.add_parser(
        "tag", help="check that a tag matches this version and that the changelog has a section for it"
    )
    tag.add_argument("tag")
    tag.set_defaults(run=_tag)
    return parser


def _on_environment(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("environment", help="name of a file in deploy/environments")
    add("--take-over", action="store_true", help="ignore an unfinished delivery, because it was killed")
    add("--drain-seconds", type=float, default=3600, help="time limit for running DAG runs to end (%(default)s)")
    add(
        "--parse-seconds",
        type=float,
        default=_PATIENCE.parse_seconds,
        help="time limit for Airflow to parse the release (%(default)s)",
    )
    add(
        "--run-seconds",
        type=float,
        default=_PATIENCE.run_seconds,
        help="time limit for the dry run (%(default)s)",
    )
    add("--poll-seconds", type=float, default=_PATIENCE.poll_seconds, help="time between two polls (%(default)s)")
