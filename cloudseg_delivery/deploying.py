"""Deploys a release from the work tree to a Composer environment, and rolls back."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cloudseg_delivery.activation import activate
from cloudseg_delivery.changes import read_requirements
from cloudseg_delivery.checks import require_descent
from cloudseg_delivery.deployment import Deployment
from cloudseg_delivery.image import ensure_image
from cloudseg_delivery.records import Release, State
from cloudseg_delivery.targets import IMAGE_VARIABLE
from cloudseg_delivery.tree import lay_out
from cloudseg_ops import __version__
from cloudseg_ops.contracts.errors import (
    CloudsegError,
    ConcurrentDeliveryError,
    DeliveryError,
    DeliveryRefusedError,
    RollBackError,
)
from cloudseg_ops.contracts.versions import release_name

_SHORT_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """Options of a deployment or rollback.

    Attributes:
        drain_seconds: How long to wait for running DAG runs to end.
        take_over: Proceed although another delivery seems to be in progress.
        downgrade: Deliver a commit that does not descend from the one in use.
        now: Roll back without waiting for running DAG runs, which then continue with the other release.
    """

    drain_seconds: float = 3600
    take_over: bool = False
    downgrade: bool = False
    now: bool = False


def deploy(deployment: Deployment, commit: str, deploy_options: DeployOptions) -> str:
    """Deploy the commit in the work tree to an environment.

    Args:
        deployment: The environment.
        commit: The commit, 40 hex digits.
        deploy_options: Options of the deployment.

    Returns:
        A sentence about the outcome.

    Raises:
        DeliveryRefusedError: The deployment was refused; nothing was changed.
        ConcurrentDeliveryError: Another delivery changed the environment meanwhile, and its release is in use.
        DeliveryError: The release failed; the last good one, if any, is in use again.
        RollBackError: The release failed, and so did the rollback.
    """
    programs, bucket = deployment.programs, deployment.bucket
    state = deployment.state(take_over=deploy_options.take_over)
    before = deployment.kept(state.known())
    if not deploy_options.downgrade:
        require_descent(programs, next((old.commit for old in before if old.name == state.good), None))
    name = release_name(__version__, commit)
    with tempfile.TemporaryDirectory() as folder:
        release = _release(deployment, Path(folder), name, commit)
        bucket.keep(release, Path(folder))
    begun = state.begun(name, time.time())
    bucket.write_state(begun)
    try:
        begun = deployment.pause(begun, deploy_options.drain_seconds)
    except ConcurrentDeliveryError:
        raise
    except CloudsegError:
        _write_quietly(deployment, _reset_state(deployment, state))
        raise
    try:
        tried = activate(deployment, release, before, resume=begun.held or deployment.target.unpause)
        deployment.resume(begun)
    except ConcurrentDeliveryError:
        raise
    except KeyboardInterrupt:
        _write_quietly(deployment, begun.given_up())
        raise
    except Exception as error:
        if programs.dry_run:
            raise
        raise _rolled_back(deployment, begun, release, error) from error
    if programs.dry_run:
        return f"dry run: would deploy {name} to {deployment.target.name}; nothing was changed"
    done = begun.succeeded(name)
    _record(deployment, done, name)
    try:
        bucket.delete_releases(begun.obsolete_releases(done))
    except CloudsegError as error:
        programs.report(f"  could not delete old releases from the bucket: {error}")
    proof = "its smoke test passed" if tried else "parsed but not tested, because the DAG is paused or a run is queued"
    return f"{name} is in use in {deployment.target.name}: {proof}"


def roll_back(deployment: Deployment, name: str | None, deploy_options: DeployOptions) -> str:
    """Return to an earlier good release.

    Args:
        deployment: The environment.
        name: The release; None selects the last good one after an incomplete delivery, else the one before it.
        deploy_options: Options of the rollback.

    Returns:
        A sentence about the outcome.

    Raises:
        DeliveryRefusedError: The release does not exist, or a delivery is in progress; nothing was changed.
        ConcurrentDeliveryError: Another delivery changed the environment meanwhile, and its release is in use.
        RollBackError: The rollback failed.
    """
    state = deployment.state(take_over=deploy_options.take_over)
    chosen = name or state.before()
    release = deployment.bucket.read_release(chosen) if chosen else None
    if release is None:
        raise DeliveryRefusedError(
            f"there is no release {chosen or 'before the last good one'} to return to; kept releases: "
            f"{', '.join(state.history) or 'none'}"
        )
    before = deployment.kept(state.known())
    begun = state.begun(release.name, time.time())
    deployment.bucket.write_state(begun)
    try:
        begun = (
            _try_to_pause(deployment, begun)
            if deploy_options.now
            else deployment.pause(begun, deploy_options.drain_seconds)
        )
    except ConcurrentDeliveryError:
        raise
    except CloudsegError as error:
        _write_quietly(deployment, _reset_state(deployment, state))
        raise DeliveryRefusedError(f"{error}. To roll back without waiting: NOW=1") from None
    try:
        activate(deployment, release, before, resume=begun.held or deployment.target.unpause)
        deployment.resume(begun)
    except ConcurrentDeliveryError:
        raise
    except Exception as error:
        _write_quietly(deployment, begun.given_up())
        raise RollBackError(f"could not return to {release.name}: {_describe_error(error)}") from error
    _record(deployment, begun.succeeded(release.name), release.name)
    return f"{release.name} is in use in {deployment.target.name} again"


def _release(deployment: Deployment, folder: Path, name: str, commit: str) -> Release:
    root = deployment.programs.root
    packages = read_requirements((root / "requirements.txt").read_text("utf-8"))
    image = ensure_image(deployment.programs, deployment.target, name)
    return Release(
        name=name,
        version=__version__,
        commit=commit,
        image=image,
        packages=packages,
        variables={**deployment.target.variables, IMAGE_VARIABLE: image},
        files=lay_out(root, folder, commit),
    )


def _rolled_back(deployment: Deployment, state: State, failed: Release, error: Exception) -> DeliveryError:
    """Return to the last good release, and return an error that describes both the failure and the rollback."""
    message = f"{failed.name} failed: {_describe_error(error)}"
    deployment.programs.report(f"• {message}")
    name = state.rollback_target(failed.name)
    if name is None:
        _write_quietly(deployment, state.given_up())
        why = "it is the last good release itself" if state.good else "there is no good release yet"
        return DeliveryError(f"{message}\nNothing was rolled back: {why}. Fix the cause above, then deliver again")
    deployment.programs.report(f"• rolling back to {name}")
    try:
        good = _require_release(deployment, name)
        held = _try_to_pause(deployment, state)
        activate(
            deployment, good, [failed, *deployment.kept(state.known())], resume=held.held or deployment.target.unpause
        )
        deployment.resume(held)
        deployment.bucket.write_state(held.rolled_back())
    except Exception as second:  # noqa: BLE001  (every failure of a rollback must be reported)
        _write_quietly(deployment, state.given_up())
        return RollBackError(
            f"{message}\nRolling back to {name} failed as well: {_describe_error(second)}\nThe environment is "
            f"between the two releases: fix the cause, then run `make rollback "
            f"ENVIRONMENT={deployment.target.name} RELEASE={name}`"
        )
    return DeliveryError(f"{message}\n{name} is in use again, and works")


def _require_release(deployment: Deployment, name: str) -> Release:
    if (release := deployment.bucket.read_release(name)) is None:
        raise DeliveryError(f"the bucket no longer has {name}")
    return release


def _try_to_pause(deployment: Deployment, state: State) -> State:
    """Pause the DAG if Airflow answers within 60 s; otherwise continue, since the rollback is to repair it."""
    impatient = replace(deployment, airflow=deployment.airflow.with_patience(_SHORT_PATIENCE_SECONDS))
    try:
        dag = impatient.airflow.dag()
        return state if dag is None or dag["is_paused"] else impatient.pause_now(state)
    except ConcurrentDeliveryError:
        raise
    except CloudsegError as error:
        deployment.programs.report(f"  could not pause the DAG, continuing without: {error}")
        return state


def _record(deployment: Deployment, done: State, name: str) -> None:
    try:
        deployment.bucket.write_state(done)
    except ConcurrentDeliveryError:
        raise
    except CloudsegError as error:
        raise DeliveryError(
            f"{name} is in use in {deployment.target.name}, but the record could not be updated and still says that "
            f"the delivery is in progress: {error}\nDeliver it again with TAKE_OVER=1"
        ) from None


def _reset_state(deployment: Deployment, state: State) -> State:
    # Keep `held`: if the DAG could not be unpaused, the next delivery must do it.
    return replace(state, since=None, held=deployment.bucket.last.held)


def _write_quietly(deployment: Deployment, state: State) -> None:
    # Report the original failure, not one of this write.
    with suppress(CloudsegError):
        deployment.bucket.write_state(state)


def _describe_error(error: Exception) -> str:
    # For foreign exceptions, include the class name: the message alone may say nothing.
    return str(error) if isinstance(error, CloudsegError) else f"{type(error).__name__}: {error}"
