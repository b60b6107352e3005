"""The environments that a release can be deployed to: one file each in deploy/environments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudseg_ops.contracts.errors import DeliveryRefusedError

FOLDER = "deploy/environments"
PLACEHOLDER = "CHANGE-ME"
IMAGE_VARIABLE = "CLOUDSEG_IMAGE"

# Before the @ of an address stands a token, or a name and a password; a name alone, as in ssh, is not a secret.
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
    """Where to deploy a release, and the variables to set.

    Attributes:
        name: Of the environment, and of its file.
        project: Google Cloud project of the Composer environment.
        location: Its region.
        composer: Its name.
        image_repository: Name of the engine's image in Artifact Registry, without tag.
        image_variant: `cpu` or `cuda`.
        identity_provider: Workload Identity provider by which GitHub becomes the deployer.
        deployer: Service account that delivers.
        unpause: Whether a paused DAG is unpaused for its smoke test; where not, a paused one is not tried.
        variables: The environment's CLOUDSEG_* variables, all but CLOUDSEG_IMAGE.
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
        DeliveryRefusedError: There is no such environment, or its file is not usable.
    """
    folder = root / FOLDER
    known = sorted(path.stem for path in folder.glob("*.env"))
    if not _NAME.fullmatch(name) or name not in known:
        raise DeliveryRefusedError(
            f"there is no environment {name!r}; {FOLDER} has {', '.join(known) or 'none'}. A new one is a file there"
        )
    file = f"{FOLDER}/{name}.env"
    return target_of(name, read_pairs((folder / f"{name}.env").read_text("utf-8"), file), file)


def read_pairs(text: str, file: str) -> dict[str, str]:
    """Read lines of `KEY=value`; a value is taken literally, and `#` begins a comment line.

    Raises:
        DeliveryRefusedError: A line is none, or a key comes twice.
    """
    pairs: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, separator, value = line.partition("=")
        if not separator or not re.fullmatch(r"[A-Z][A-Z0-9_]*", key):
            raise DeliveryRefusedError(f"{file}, line {number}: {line!r} is not KEY=value")
        if key in pairs:
            raise DeliveryRefusedError(f"{file}, line {number}: {key} comes twice")
        pairs[key] = value.strip()
    return pairs


def target_of(name: str, pairs: Mapping[str, str], file: str) -> Target:
    """Make a target of a file's pairs.

    Raises:
        DeliveryRefusedError: A key is missing, unknown or not filled in.
    """
    variables = {key: value for key, value in pairs.items() if key.startswith("CLOUDSEG_")}
    problems = [f"{key} is missing" for key in _KEYS if not pairs.get(key)]
    known = {*_KEYS, *variables}
    problems += [f"{key} is none of an environment's keys" for key in pairs if key not in known]
    problems += [f"{key} is not filled in" for key, value in pairs.items() if PLACEHOLDER in value]
    problems += [
        f"{key} has a password in its address; docs/operations.md says how a private registry is reached"
        for key, value in pairs.items()
        if _PASSWORD.search(value)
    ]
    if variables.get("CLOUDSEG_ON_FAILURE", "").startswith("https://"):
        problems.append(
            "CLOUDSEG_ON_FAILURE is an address that anyone who knows it can use: name a connection, conn:NAME"
        )
    if IMAGE_VARIABLE in variables:
        problems.append(f"{IMAGE_VARIABLE} is set by the deploy itself")
    if pairs.get("IMAGE_VARIANT", "cpu") not in ("cpu", "cuda"):
        problems.append(f"IMAGE_VARIANT = {pairs['IMAGE_VARIANT']!r}: there are cpu and cuda")
    if pairs.get("UNPAUSE", "false") not in ("true", "false"):
        problems.append(f"UNPAUSE = {pairs['UNPAUSE']!r}: write true or false")
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
