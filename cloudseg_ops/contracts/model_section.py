"""The `model` section of a registry's params file, and the parameters that it and the weights give together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from cloudseg_ops.contracts.errors import ModelParamsError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.contracts.weights_check import check_weights


@dataclass(frozen=True, slots=True)
class ModelSection:
    """The section as it was written, before it is validated.

    Attributes:
        values: The section's keys and values.
        where: The file and revision that it was found in, for messages.
    """

    values: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class CompletedParams:
    """The parameters of a model, and where they came from.

    Attributes:
        params: The parameters.
        origins: By the name of each parameter, a noun phrase such as `params.yaml`, `the weights` or `the default`.
        ignored: Keys of the section that are not parameters of a model.
    """

    params: ModelParams
    origins: Mapping[str, str]
    ignored: tuple[str, ...] = ()


def parse_section(text: str, where: str, *, name: str = "model") -> ModelSection:
    """Return one section of a YAML file.

    Args:
        text: The file's content.
        where: Where the file is, for messages.
        name: The section's key; `a.b` is the key `b` in the section `a`.

    Raises:
        ModelParamsError: The file is not YAML, or has no such section.
    """
    import yaml

    try:
        document = yaml.safe_load(text)
    # The parser raises more than its own errors: on dates that do not exist, keys that are lists, deep nesting.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise ModelParamsError(f"{where}: this is not YAML: {error}") from None
    section = document
    for key in name.split("."):
        if not isinstance(section, dict) or key not in section:
            keys = sorted(map(str, section)) if isinstance(section, dict) else type(section).__name__
            raise ModelParamsError(f"{where}: there is no `{name}` section, only {keys}; add a `{name}` section")
        section = section[key]
    if not isinstance(section, dict):
        raise ModelParamsError(
            f"{where}: the `{name}` section is not valid: it is a {type(section).__name__}, not keys"
        )
    return ModelSection(section, where)


def complete_params(section: ModelSection, weights: BinaryIO, where: str) -> CompletedParams:
    """Return the parameters of a model, and check its weights file against them.

    Args:
        section: The `model` section.
        weights: The weights file, seekable.
        where: What the weights file is and where, for messages.

    Raises:
        ModelParamsError: The section is not valid.
        ModelLoadError: The weights file is not of the kind that the architecture needs, or does not fit it.
    """
    params = ModelParams.parse(section.values, section.where)
    check_weights(params, weights, where)
    given = section.values.keys()
    origins = {name: section.where if name in given else "the default" for name in ModelParams.model_fields}
    return CompletedParams(params, origins)
