"""Loads the engine's image into a cluster on this machine, if it can tell that it is missing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

from cloudseg_ops.contracts.errors import LocalError

DEFAULT_IMAGE = "cloudseg-inference:dev"
_KIND = "kind-"
_INSPECT_SECONDS = 30
_LOAD_SECONDS = 600


def pull_policy(image: str) -> str:
    """When nodes are to pull an image: never, when it has no digest and so is one that they have already."""
    return "IfNotPresent" if "@sha256:" in image else "Never"


def kind_cluster(context: str) -> str | None:
    """Name of the kind cluster that a kubeconfig's context leads to; None: it is another kind of cluster."""
    return context.removeprefix(_KIND) if context.startswith(_KIND) else None


def provide_image(image: str, context: str, *, own_engine: bool, tell: Callable[[str], None]) -> None:
    """Check that an image exists if possible, and load it into a kind cluster.

    Args:
        image: The image; one with a digest is the nodes' own matter.
        context: The kubeconfig's context; kind's begin with `kind-`.
        own_engine: Whether the cluster runs its containers by this machine's Docker engine.
        tell: Tells the person at the terminal what takes long.

    Raises:
        LocalError: The image is not on this machine, or kind cannot load it.
    """
    if pull_policy(image) != "Never":
        return
    kind = kind_cluster(context)
    if kind is not None and shutil.which("kind") is None:
        tell(f"`kind` is not on the PATH: the nodes of {context} must have the image {image} already")
    elif kind is not None:
        _require_image(image)
        tell(f"loading the image {image} into the kind cluster {kind}")
        _load(image, kind)
    elif own_engine:
        _require_image(image)


def _require_image(image: str) -> None:
    try:
        found = _run(["docker", "image", "inspect", "--format", "{{.Id}}", image], _INSPECT_SECONDS)
    except FileNotFoundError:
        raise LocalError("`docker` is not on the PATH; install Docker, and build the image with `make image`") from None
    if found.returncode:
        raise LocalError(
            f"this machine's Docker has no image {image} ({_last_line(found.stderr)}); build it with `make image`, or "
            "name another: `make demo RUNTIME=kubernetes IMAGE=…`"
        )


def _load(image: str, kind: str) -> None:
    done = _run(["kind", "load", "docker-image", image, "--name", kind], _LOAD_SECONDS)
    if done.returncode:
        raise LocalError(
            f"kind could not load the image {image} into the cluster {kind}: {_last_line(done.stderr)}; see that "
            "`kind get clusters` lists it, and that its nodes have room"
        )


def _run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise LocalError(
            f"`{' '.join(command)}` did not end within {seconds:.0f} s; see that Docker answers, then try again"
        ) from None


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "without a reason"
