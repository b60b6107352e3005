"""docker-compose.yaml and .env as data."""

import re
from typing import Any, cast

import yaml

from cloudseg_local.state import REPOSITORY

FILE = REPOSITORY / "docker-compose.yaml"
DEFAULTS = REPOSITORY / ".env"
_VARIABLE = re.compile(r"\$\{([A-Z_]+)\}")


def defaults() -> dict[str, str]:
    """The variables of .env."""
    lines = (line for line in DEFAULTS.read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def used_variables() -> set[str]:
    """The variables that docker-compose.yaml asks for."""
    return set(_VARIABLE.findall(FILE.read_text("utf-8")))


def composefile(**changes: str) -> dict[str, Any]:
    """The file with the variables of .env, some of them overridden."""
    given = {**defaults(), **changes}
    text = _VARIABLE.sub(lambda found: given[found[1]], FILE.read_text("utf-8"))
    return cast("dict[str, Any]", yaml.safe_load(text))


def services(**changes: str) -> dict[str, dict[str, Any]]:
    """The services by name."""
    return cast("dict[str, dict[str, Any]]", composefile(**changes)["services"])


def airflow_environment(**changes: str) -> dict[str, str]:
    """The environment that all Airflow services share."""
    return cast("dict[str, str]", services(**changes)["scheduler"]["environment"])
