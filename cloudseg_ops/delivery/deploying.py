"""A release from the work tree to its proof in Composer, and the way back."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path

from cloudseg_ops import __version__
from cloudseg_ops.delivery.bringing import bring
from cloudseg_ops.delivery.changes import read_requirements
from cloudseg_ops.delivery.image import ensure_image
from cloudseg_ops.delivery.records import Release, State
from cloudseg_ops.delivery.site import Site
from cloudseg_ops.delivery.targets import IMAGE_VARIABLE
from cloudseg_ops.delivery.tree import lay_out
from cloudseg_ops.errors import (
    CloudsegError,
    ConcurrentDeliveryError,
    DeliveryError,
    DeliveryRefusedError,
    RollBackError,
)
from cloudseg_ops.releases import release_name


def deploy(site: Site, commit: str, *, drain_seconds: float, take_over: bool = False) -> str:
    """Bring a commit, which is what the work tree has, to an environment.

    Args:
        site: The environment.
        commit: 40 hex digits.
        drain_seconds: How long a run that goes on is waited for.
        take_over: Go on although another delivery seems to be under way.

    Returns:
        One sentence about the end.

    Raises:
        DeliveryRefusedError: Nothing was changed.
        ConcurrentDeliveryError: Another delivery went on meanwhile; what there is now is that one's.
        DeliveryError: The release failed; the last good one is in use again, where there was one.
        RollBackError: That failed as well.
    """
    programs, bucket = site.programs, site.bucket
    state = site.state(take_over=take_over)
    name = release_name(__version__, commit)
    with tempfile.TemporaryDirectory() as folder:
        release = _release(site, Path(folder), name, commit)
        site.await_idle(drain_seconds)
        bucket.keep(release, Path(folder))
    before = site.kept(state.known())
    begun = state.begun(name, time.time())
    bucket.write_state(begun)
    try:
        tried = bring(site, release, before)
    except ConcurrentDeliveryError:
        raise
    except CloudsegError as error:
        if programs.dry_run:
            raise
        raise _rolled_back(site, begun, release, error) from None
    if programs.dry_run:
        return f"this would bring {name} to {site.target.name}; nothing was changed"
    done = begun.succeeded(name)
    bucket.write_state(done)
    bucket.forget(begun.forgotten(done))
    proof = "its smoke test passed" if tried else "the DAG is paused, so it was parsed and not tried"
    return f"{name} is in use in {site.target.name}: {proof}"


def roll_back(site: Site, name: str | None, *, take_over: bool = False) -> str:
    """Go back to an earlier good release.

    Args:
        site: The environment.
        name: Which one; None: the one before the last good one.
        take_over: Go on although another delivery seems to be under way.

    Returns:
        One sentence about the end.

    Raises:
        DeliveryRefusedError: There is no such release, or a delivery is under way; nothing was changed.
        ConcurrentDeliveryError: Another delivery went on meanwhile; what there is now is that one's.
        RollBackError: It failed.
    """
    state = site.state(take_over=take_over)
    chosen = name or state.before()
    release = site.bucket.read_release(chosen) if chosen else None
    if release is None:
        raise DeliveryRefusedError(
            f"there is no release {chosen or 'before the last good one'} to go back to; kept are "
            f"{', '.join(state.history) or 'none'}"
        )
    begun = state.begun(release.name, time.time())
    site.bucket.write_state(begun)
    try:
        bring(site, release, site.kept(state.known()))
    except ConcurrentDeliveryError:
        raise
    except CloudsegError as error:
        site.bucket.write_state(begun.given_up())
        raise RollBackError(f"{release.name} could not be brought back: {error}") from None
    site.bucket.write_state(begun.succeeded(release.name))
    return f"{release.name} is in use in {site.target.name} again"


def _release(site: Site, folder: Path, name: str, commit: str) -> Release:
    root = site.programs.root
    packages = read_requirements((root / "requirements.txt").read_text("utf-8"))
    image = ensure_image(site.programs, site.target, name)
    return Release(
        name=name,
        version=__version__,
        commit=commit,
        image=image,
        packages=packages,
        variables={**site.target.variables, IMAGE_VARIABLE: image},
        files=lay_out(root, folder, commit),
    )


def _rolled_back(site: Site, state: State, failed: Release, error: CloudsegError) -> DeliveryError:
    """Go back to the last good release, and give the error that tells of it all."""
    told = f"{failed.name} failed: {error}"
    site.programs.tell(f"• {told}")
    name = state.way_back(failed.name)
    if name is None:
        _give_up(site, state)
        why = "it is the last good release itself" if state.good else "there is no good release yet"
        return DeliveryError(
            f"{told}\nNothing was rolled back, for {why}. Mend what the message names, then deliver again"
        )
    site.programs.tell(f"• rolling back to {name}")
    try:
        good = site.bucket.read_release(name)
        if good is None:
            raise DeliveryError(f"the bucket does not have {name} any more")
        bring(site, good, [failed, *site.kept(state.known())])
        site.bucket.write_state(state.rolled_back())
    except CloudsegError as second:
        _give_up(site, state)
        return RollBackError(
            f"{told}\nRolling back to {name} failed as well: {second}\nThe environment is between the two: see what is "
            f"wrong with it, then `make rollback ENVIRONMENT={site.target.name} RELEASE={name}`"
        )
    return DeliveryError(f"{told}\n{name} is in use again, and works")


def _give_up(site: Site, state: State) -> None:
    # The failure that led here is the one to be told.
    with suppress(CloudsegError):
        site.bucket.write_state(state.given_up())
