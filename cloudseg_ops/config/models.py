"""Settings that say how to read a model from its registry."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from cloudseg_ops.config.model_trust import ModelTrustSettings
from cloudseg_ops.contracts.errors import SettingsError

PREFIX = "CLOUDSEG_"

# Names of DVC's options of remotes whose values are secrets, or commands that print one.
_SECRET = re.compile(r"passw|passphrase|secret|token|account_key|connection_string|customer_key")
_PARAMS = re.compile(r"[^:\s][^:]*(?::[^:\s]+)?")


def read_options(value: Any) -> Any:
    """Read `name=value` words in shell syntax.

    Raises:
        ValueError: A word has no `=`.
    """
    if not isinstance(value, str):
        return value
    words = [word.partition("=") for word in shlex.split(value)]
    if wrong := [name for name, equals, _ in words if not (name and equals)]:
        raise ValueError(f"{wrong[0]!r} is not name=value, as in `endpointurl=https://minio.example profile=ml`")
    return {name: option for name, _, option in words}


def check_options(options: dict[str, str]) -> dict[str, str]:
    """Return the options of a remote.

    Raises:
        ValueError: One of them is a secret, which everyone who may see the environment would see.
    """
    if secret := next(filter(_SECRET.search, options), None):
        raise ValueError(
            f"{secret} would be visible to everyone who may see the environment; put it in an Airflow connection and "
            "set CLOUDSEG_MODEL_REMOTE_CONN_ID"
        )
    return options


def check_params(text: str) -> str:
    """Return the address of a section of a params file.

    Raises:
        ValueError: It is not `file` or `file:section`.
    """
    if text and not _PARAMS.fullmatch(text):
        raise ValueError("use a file, or a file and a section of it, such as params.yaml:model")
    return text


class ModelSettings(ModelTrustSettings):
    """How to read a model from its registry; part of `Settings`."""

    model_params: Annotated[str, AfterValidator(check_params)] = Field(
        default="",
        description="Params file of the model and the section in it, such as `params.yaml:model`; unset: the "
        "artifact's `meta` if it has the parameters, else that",
    )
    model_remote: str | None = Field(
        default=None, min_length=1, description="DVC remote that has the weights; unset: the registry's default remote"
    )
    model_remote_options: Annotated[dict[str, str], AfterValidator(check_options), BeforeValidator(read_options)] = (
        Field(
            default={},
            description="Options of that remote, by DVC's names, in shell syntax, such as "
            "`endpointurl=https://minio.example profile=ml version_aware=true`",
        )
    )
    model_remote_conn_id: str | None = Field(
        default=None,
        description="Airflow connection with credentials and options of that remote; unset: the worker's own identity",
    )

    @classmethod
    def of_model(cls, environment: Mapping[str, str]) -> Self:
        """Read these variables alone, as a command does on a machine that has none of the DAG's others.

        Raises:
            SettingsError: A variable is invalid.
        """
        given = {name: environment.get(PREFIX + name.upper()) for name in ModelSettings.model_fields}
        try:
            return cls.model_validate({name: value for name, value in given.items() if value})
        except ValidationError as error:
            raise SettingsError("; ".join(f"{_variable(it['loc'])}{it['msg']}" for it in error.errors())) from None


def _variable(location: tuple[int | str, ...]) -> str:
    # A problem of several variables has no location; its message names them.
    return f"{PREFIX}{str(location[0]).upper()}: " if location else ""
