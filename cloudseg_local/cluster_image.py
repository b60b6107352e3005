"""Makes the engine's image available to a cluster on this machine."""

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
    """Return the image pull policy: `Never` for an image without a digest, which must already be on the nodes."""
    return "IfNotPresent" if "@sha256:" in image else "Never"


def kind_cluster(context: str) -> str | None:
    """Return the name of the kind cluster behind a context; None if it is not a kind cluster."""
    return context.removeprefix(_KIND) if context.startswith(_KIND) else None


def provide_image(image: str, context: str, *, shares_docker: bool, report: Callable[[str], None]) -> None:
    """Check that this machine has an image, where the cluster depends on it, and load it into a kind cluster.

    Args:
        image: The image; nodes pull one with a digest themselves.
        context: The kubeconfig's context; those of kind start with `kind-`.
        shares_docker: Whether the cluster's nodes use this machine's Docker engine.
        report: Receives progress messages for the terminal.

    Raises:
        LocalError: The image is not on this machine, or kind cannot load it.
    """
    if pull_policy(image) != "Never":
        return
    kind = kind_cluster(context)
    if kind is not None and shutil.which("kind") is None:
        report(f"`kind` is not on the PATH, so {image} was not loaded: the nodes of {context} must already have it")
    elif kind is not None:
        _require_image(image)
        report(f"loading the image {image} into the kind cluster {kind}")
        _load(image, kind)
    elif shares_docker:
        _require_image(image)


def _require_image(image: str) -> None:
    try:
        found = _run(["docker", "image", "inspect", "--format", "{{.Id}}", image], _INSPECT_SECONDS)
    except FileNotFoundError:
        raise LocalError("`docker` is not on the PATH; install Docker, and build the image with `make image`") from None
    if found.returncode:
        raise LocalError(
            f"Docker on this machine has no image {image} ({_last_line(found.stderr)}); build it with `make image`, or "
            "name another: `make demo RUNTIME=kubernetes IMAGE=…`"
        )


def _load(image: str, kind: str) -> None:
    done = _run(["kind", "load", "docker-image", image, "--name", kind], _LOAD_SECONDS)
    if done.returncode:
        raise LocalError(
            f"kind could not load the image {image} into the cluster {kind}: {_last_line(done.stderr)}; check that "
            "`kind get clusters` lists it and that its nodes have free disk space"
        )


def _run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise LocalError(
            f"`{' '.join(command)}` did not finish within {seconds:.0f} s; check that Docker responds, then try again"
        ) from None


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
