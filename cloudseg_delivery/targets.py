"""Reads the environments to which releases can be deployed, one file each in deploy/environments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudseg_ops.contracts.errors import DeliveryRefusedError

FOLDER = "deploy/environments"
PLACEHOLDER = "CHANGE-ME"
IMAGE_VARIABLE = "CLOUDSEG_IMAGE"

# Matches a token, or a user and password, before the @ of a URL; a user alone, as in ssh URLs, is not a secret.
_PASSWORD = re.compile(r"https?://[^/@\s]+@|://[^/@\s]*:[^/@\s]+@")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_KEYS = (
    "PROJECT",
    "LOCATION",
    "COMPOSER_ENVIRONMENT",
    "IMAGE_REPOSITORY",
    "IMAGE_VARIANT",
    "IDENTITY_PROVIDER",
    "DEPLOYER",
    "UNPAUSE",
)


@dataclass(frozen=True, slots=True)
class Target:
    """An environment to which releases are deployed.

    Attributes:
        name: Name of the environment and of its file.
        project: Google Cloud project of the Composer environment.
        location: Region of the Composer environment.
        composer: Name of the Composer environment.
        image_repository: Name of the engine's image in Artifact Registry, without tag.
        image_variant: `cpu` or `cuda`.
        identity_provider: Workload Identity provider through which GitHub impersonates the deployer.
        deployer: Service account that delivers.
        unpause: Whether to unpause a paused DAG for its smoke test; if not, a paused DAG is not tested.
        variables: The environment's CLOUDSEG_* variables, except CLOUDSEG_IMAGE.
    """

    name: str
    project: str
    location: str
    composer: str
    image_repository: str
    image_variant: str
    identity_provider: str
    deployer: str
    unpause: bool
    variables: Mapping[str, str]


def load_target(root: Path, name: str) -> Target:
    """Read an environment's file.

    Args:
        root: The repository.
        name: The environment.

    Raises:
        DeliveryRefusedError: The environment does not exist, or its file is invalid.
    """
    folder = root / FOLDER
    known = sorted(path.stem for path in folder.glob("*.env"))
    if not _NAME.fullmatch(name) or name not in known:
        raise DeliveryRefusedError(
            f"there is no environment {name!r}; {FOLDER} has {', '.join(known) or 'none'}. To add one, add a file there"
        )
    file = f"{FOLDER}/{name}.env"
    return target_of(name, read_pairs((folder / f"{name}.env").read_text("utf-8"), file), file)


def read_pairs(text: str, file: str) -> dict[str, str]:
    """Parse lines of `KEY=value`; values are taken literally, lines that start with `#` are comments.

    Raises:
        DeliveryRefusedError: A line is malformed, or a key is repeated.
    """
    pairs: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, separator, value = line.partition("=")
        if not separator or not re.fullmatch(r"[A-Z][A-Z0-9_]*", key):
            raise DeliveryRefusedError(f"{file}, line {number}: {line!r} is not KEY=value")
        if key in pairs:
            raise DeliveryRefusedError(f"{file}, line {number}: {key} is repeated")
        pairs[key] = value.strip()
    return pairs


def target_of(name: str, pairs: Mapping[str, str], file: str) -> Target:
    """Create a target from the pairs of a file.

    Args:
        name: The environment.
        pairs: The pairs of its file.
        file: Path of the file, for messages.

    Raises:
        DeliveryRefusedError: A key is missing, unknown, or has an invalid value.
    """
    variables = {key: value for key, value in pairs.items() if key.startswith("CLOUDSEG_")}
    problems = [f"{key} is missing" for key in _KEYS if not pairs.get(key)]
    known = {*_KEYS, *variables}
    problems += [f"{key} is not a known key" for key in pairs if key not in known]
    problems += [f"{key} is not filled in" for key, value in pairs.items() if PLACEHOLDER in value]
    problems += [
        f"{key} contains a password; docs/operations.md describes access to a private registry"
        for key, value in pairs.items()
        if _PASSWORD.search(value)
    ]
    if variables.get("CLOUDSEG_ON_FAILURE", "").startswith("https://"):
        problems.append("CLOUDSEG_ON_FAILURE is a secret address; name an Airflow connection instead, conn:NAME")
    if IMAGE_VARIABLE in variables:
        problems.append(f"{IMAGE_VARIABLE} is set by the delivery; remove it")
    if pairs.get("IMAGE_VARIANT", "cpu") not in ("cpu", "cuda"):
        problems.append(f"IMAGE_VARIANT = {pairs['IMAGE_VARIANT']!r}: must be cpu or cuda")
    if pairs.get("UNPAUSE", "false") not in ("true", "false"):
        problems.append(f"UNPAUSE = {pairs['UNPAUSE']!r}: must be true or false")
    if problems:
        raise DeliveryRefusedError(f"{file}: {'; '.join(problems)}")
    return Target(
        name=name,
        project=pairs["PROJECT"],
        location=pairs["LOCATION"],
        composer=pairs["COMPOSER_ENVIRONMENT"],
        image_repository=pairs["IMAGE_REPOSITORY"],
        image_variant=pairs["IMAGE_VARIANT"],
        identity_provider=pairs["IDENTITY_PROVIDER"],
        deployer=pairs["DEPLOYER"],
        unpause=pairs["UNPAUSE"] == "true",
        variables=variables,
    )
