"""Builds and pushes the engine's image of a release, once; later uses refer to it by digest."""

from __future__ import annotations

import re

from cloudseg_delivery.programs import Programs
from cloudseg_delivery.targets import Target
from cloudseg_ops.contracts.errors import DeliveryError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_UNKNOWN = "sha256:" + "0" * 64


def ensure_image(programs: Programs, target: Target, release: str) -> str:
    """Build and push a release's image if Artifact Registry does not have it, and return its name with digest.

    Args:
        programs: Runs gcloud and docker.
        target: Names the repository and the variant.
        release: The release's name, which becomes the tag.

    Returns:
        `NAME:TAG@DIGEST`; in a dry run, if there is no image yet, a digest of zeros.

    Raises:
        CommandFailedError: The image could not be built or pushed.
        DeliveryError: Artifact Registry does not have the image after the push.
    """
    tag = f"{release}-cuda" if target.image_variant == "cuda" else release
    name = f"{target.image_repository}:{tag}"
    if (digest := _digest(programs, name)) is None:
        programs.report(f"• building and pushing {name}")
        wanted = {
            "VARIANT": target.image_variant,
            "PLATFORM": "linux/amd64",
            "IMAGE": target.image_repository,
            "TAG": tag,
        }
        programs.run("scripts/image.sh", environment=wanted, stream=True)
        host = target.image_repository.partition("/")[0]
        programs.run("gcloud", "auth", "configure-docker", host, "--quiet")
        programs.run("docker", "push", "--quiet", name, stream=True)
        digest = _UNKNOWN if programs.dry_run else _digest(programs, name)
    else:
        programs.report(f"• {name} already exists")
    if digest is None:
        raise DeliveryError(f"{name} was pushed, but Artifact Registry does not have it; push it again")
    return f"{name}@{digest}"


def _digest(programs: Programs, name: str) -> str | None:
    output = programs.query_optional(
        "gcloud", "artifacts", "docker", "images", "describe", name, "--format=value(image_summary.digest)"
    )
    found = _DIGEST.search(output or "")
    return found[0] if found else None
