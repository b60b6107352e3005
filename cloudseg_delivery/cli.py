"""The command line of deliveries."""

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
BETWEEN = 3

_ROOT = Path(__file__).parents[1]
_PATIENCE = Patience()
_ZERO_IMAGE = "registry.invalid/engine@sha256:" + "0" * 64


def main(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        0: done. 1: it failed, and the environment has its last good release (where there was one). 2: it was refused,
        and nothing was changed. 3: it failed, and so did the rollback: a person must investigate.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except RollBackError as error:
        return _told(error, BETWEEN)
    except DeliveryRefusedError as error:
        return _told(error, REFUSED)
    except CloudsegError as error:
        return _told(error, FAILED)
    except KeyboardInterrupt:
        return _told(
            "cut short: the environment may be between two releases. Deliver again, or `make rollback`", BETWEEN
        )
    return DONE


def _told(error: CloudsegError | str, code: int) -> int:
    print(f"cloudseg: {error}", file=sys.stderr)
    return code


def _say(line: str) -> None:
    print(line, flush=True)


def _deploy(options: argparse.Namespace) -> None:
    target = load_target(_ROOT, options.environment)
    programs = Programs(_ROOT, _say, dry_run=options.dry_run)
    commit = checks.require_clean_tree(programs)
    if not options.verified:
        checks.require_settings(dict(target.variables), _ZERO_IMAGE)
        checks.require_checks(_ROOT)
        if checks.require_clean_tree(programs) != commit:
            raise DeliveryRefusedError("another commit was checked out while the checks ran; deliver again")
    deployment = Deployment.open(target, programs, _patience(options))
    deploy_options = DeployOptions(options.drain_seconds, options.take_over, downgrade=options.downgrade)
    _say(deploy(deployment, commit, deploy_options))


def _roll_back(options: argparse.Namespace) -> None:
    programs = Programs(_ROOT, _say)
    deployment = Deployment.open(load_target(_ROOT, options.environment), programs, _patience(options))
    _say(
        roll_back(
            deployment,
            options.release or None,
            DeployOptions(options.drain_seconds, options.take_over, now=options.now),
        )
    )


def _status(options: argparse.Namespace) -> None:
    programs = Programs(_ROOT, _say)
    deployment = Deployment.open(load_target(_ROOT, options.environment), programs, _PATIENCE)
    state = deployment.bucket.read_state()
    release = deployment.bucket.read_release(state.good) if state.good else None
    _say(f"release {state.good or 'none yet'}")
    if release:
        _say(f"commit {release.commit}\nimage {release.image}")
    if state.tried:
        _say(f"begun since, without a good end: {', '.join(state.tried)}")
    _say(f"kept: {', '.join(state.history) or 'none'}")


def _target(options: argparse.Namespace) -> None:
    target = load_target(_ROOT, options.environment)
    _say(f"identity_provider={target.identity_provider}\ndeployer={target.deployer}\nproject={target.project}")


def _layout(options: argparse.Namespace) -> None:
    if options.folder.exists() and any(options.folder.iterdir()):
        raise DeliveryRefusedError(f"{options.folder} is not empty; name an empty folder, or a new one")
    files = lay_out(_ROOT, options.folder, options.commit)
    _say(f"{len(files)} files in {options.folder}")


def _tag(options: argparse.Namespace) -> None:
    checks.require_tag(options.tag, (_ROOT / "CHANGELOG.md").read_text("utf-8"))
    _say(f"{options.tag} is this version's")


def _patience(options: argparse.Namespace) -> Patience:
    return Patience(
        parse_seconds=options.parse_seconds, run_seconds=options.run_seconds, poll_seconds=options.poll_seconds
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cloudseg_delivery",
        description="Bring cloudseg to a Composer environment. Exit codes: 0 done; 1 failed, and rolled back; "
        "2 refused, nothing was changed; 3 failed, and so did the roll-back.",
    )
    commands = parser.add_subparsers(required=True)

    deploying = commands.add_parser("deploy", help="bring what is checked out to an environment, and prove it there")
    _on_environment(deploying)
    deploying.add_argument("--dry-run", action="store_true", help="look, and tell what would be changed")
    deploying.add_argument("--verified", action="store_true", help="the checks of this commit have passed already")
    deploying.add_argument(
        "--downgrade", action="store_true", help="deliver although the commit in use is not part of this one"
    )
    deploying.set_defaults(run=_deploy)

    going_back = commands.add_parser("rollback", help="bring an earlier good release back")
    _on_environment(going_back)
    going_back.add_argument("--release", help="which one (the last good one after a failure, else the one before it)")
    going_back.add_argument("--now", action="store_true", help="do not wait for a run that goes on")
    going_back.set_defaults(run=_roll_back)

    for name, run, told in (
        ("status", _status, "tell which release an environment has"),
        ("target", _target, "print how a workflow becomes an environment's deployer, as key=value"),
    ):
        command = commands.add_parser(name, help=told)
        command.add_argument("environment")
        command.set_defaults(run=run)

    layout = commands.add_parser("layout", help="write dags/ and plugins/ into a folder, as a bucket gets them")
    layout.add_argument("folder", type=Path)
    layout.add_argument("--commit", default="", help="the commit that they are of")
    layout.set_defaults(run=_layout)

    tag = commands.add_parser("tag", help="check that a tag is this version's, and in the changelog")
    tag.add_argument("tag")
    tag.set_defaults(run=_tag)
    return parser


def _on_environment(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("environment", help="one of deploy/environments")
    add("--take-over", action="store_true", help="a delivery that seems to be under way was killed")
    add("--drain-seconds", type=float, default=3600, help="wait so long for a run to end (3600)")
    add("--parse-seconds", type=float, default=_PATIENCE.parse_seconds, help="wait so long for Airflow to parse it")
    add("--run-seconds", type=float, default=_PATIENCE.run_seconds, help="wait so long for the dry run to end")
    add("--poll-seconds", type=float, default=_PATIENCE.poll_seconds, help="time between two looks")
