"""The `model` section of a registry's params file, and the parameters that it and the weights give together."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydantic import ValidationError

from cloudseg_ops.contracts.architectures import EXPORTED
from cloudseg_ops.contracts.errors import ModelParamsError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.contracts.program_check import check_program
from cloudseg_ops.contracts.tensor_info import show_name
from cloudseg_ops.contracts.weights_check import check_weights
from cloudseg_ops.contracts.weights_params import read_params

THE_WEIGHTS = "the weights"
"""The origin of parameters that are read off the weights."""
_NEAR = 0.8
"""How similar a key must be to that of a parameter to be a misspelling of it (`difflib`)."""
_MAX_KEY = 80
_READ_FROM_WEIGHTS = {"architecture": EXPORTED, "in_channels": 3, "n_classes": 1}
"""Parameters without a default that the weights may give, with any valid value."""


@dataclass(frozen=True, slots=True)
class ModelSection:
    """The section as it was written, before it is validated.

    Attributes:
        values: The section's keys and values.
        where: The file and revision that it was found in, for messages.
    """

    values: Mapping[str, Any]
    where: str

    @property
    def stated(self) -> dict[str, Any]:
        """The keys that are parameters of a model, with their values."""
        return {name: value for name, value in self.values.items() if name in ModelParams.model_fields}

    @property
    def ignored(self) -> tuple[str, ...]:
        """The keys that are not parameters of a model, such as those of the training."""
        return tuple(str(name) for name in self.values if name not in ModelParams.model_fields)


@dataclass(frozen=True, slots=True)
class CompletedParams:
    """The parameters of a model, and where they came from.

    Attributes:
        params: The parameters.
        origins: By the name of each parameter, a noun phrase such as `params.yaml`, `the weights` or `the default`.
        ignored: Keys of the section that are not parameters of a model.
        note: Where in the weights file the state dict is, as a sentence for the log; empty if it is the whole file.
    """

    params: ModelParams
    origins: Mapping[str, str]
    ignored: tuple[str, ...] = ()
    note: str = ""

    def log_lines(self) -> Iterator[str]:
        """Yield what a person should know about the parameters: keys ignored, and what was read off the weights."""
        if self.ignored:
            listed = ", ".join(map(show_name, self.ignored))
            yield f"ignored keys of the `model` section, which are not parameters of a model: {listed}"
        read = [
            f"{name} {getattr(self.params, name)}" for name, origin in self.origins.items() if THE_WEIGHTS in origin
        ]
        if read:
            yield f"read off the weights: {', '.join(read)}"
        if self.note:
            yield self.note


def parse_section(text: str, where: str, *, name: str = "model") -> ModelSection:
    """Return one section of a YAML file.

    Args:
        text: The file's content.
        where: Where the file is, for messages.
        name: The section's key; `a.b` is the key `b` in the section `a`.

    Raises:
        ModelParamsError: The file is not YAML, or has no such section, or the section has a misspelled key or an
            invalid value.
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
            raise ModelParamsError(
                f"{where}: there is no `{name}` section, only {keys}; add one. `{name}: {{}}` is enough if the weights "
                "say the rest, and pixels are scaled to 0–1 without further normalization"
            )
        section = section[key]
    section = {} if section is None else section
    if not isinstance(section, dict):
        raise ModelParamsError(
            f"{where}: the `{name}` section is not valid: it is a {type(section).__name__}, not keys"
        )
    found = ModelSection(section, where)
    check_section(found)
    return found


def has_section(text: str, name: str) -> bool:
    """Return whether a file has a section that `parse_section` can judge: also if the file is not YAML.

    >>> has_section("train: {model: {}}", "train.model"), has_section("train: {}", "model")
    (True, False)
    """
    import yaml

    try:
        section = yaml.safe_load(text)
    except Exception:  # noqa: BLE001  (as in `parse_section`, which says why)
        return True
    for key in name.split("."):
        if not isinstance(section, dict) or key not in section:
            return False
        section = section[key]
    return True


def check_section(section: ModelSection) -> None:
    """Check everything in a section that can be checked without the weights.

    Raises:
        ModelParamsError: A key is misspelled, or a value is not valid.
    """
    for name in section.ignored:
        plain = name[:_MAX_KEY].lower().replace("-", "_")
        if near := difflib.get_close_matches(plain, ModelParams.model_fields, n=1, cutoff=_NEAR):
            raise ModelParamsError(
                f"{section.where}: the `model` section has the unknown key `{show_name(name)}`; did you mean "
                f"`{near[0]}`? Correct it, or move it to another section"
            )
    stated = section.stated
    try:
        ModelParams.model_validate(stated)
    except ValidationError as error:
        missing = {
            str(problem["loc"][0])
            for problem in error.errors()
            if problem["type"] == "missing" and len(problem["loc"]) == 1
        } & _READ_FROM_WEIGHTS.keys()
        if len(missing) < error.error_count():
            ModelParams.parse({**{name: _READ_FROM_WEIGHTS[name] for name in missing}, **stated}, section.where)


def complete_params(
    section: ModelSection, weights: BinaryIO, where: str, *, allowed_operators: Collection[str] = ()
) -> CompletedParams:
    """Return the parameters of a model, and check its weights file against them.

    What the section does not state is read off the weights where they say it: the architecture, in_channels, n_classes
    and, for a built-in architecture, its arguments. A stated value is never replaced.

    Args:
        section: The `model` section.
        weights: The weights file, seekable.
        where: What the weights file is and where, for messages.
        allowed_operators: Operators outside of aten that an exported program may use.

    Raises:
        ModelParamsError: The section is not valid, or lacks a value that the weights do not say.
        ModelLoadError: The weights file is not of the kind that the architecture needs, or does not fit it.
    """
    check_section(section)
    stated = section.stated
    read = read_params(stated, weights, where)
    if missing := [name for name in _READ_FROM_WEIGHTS if name not in stated and name not in read]:
        if {**stated, **read}.get("architecture") == EXPORTED:
            # A program that does not say what it takes and returns is probably one that is refused anyway.
            check_program(weights, where, allowed_operators)
        raise ModelParamsError(
            f"{section.where}: the `model` section must state {' and '.join(missing)}, which cannot be read off {where}"
        )
    source = f"{section.where}, with what the weights say" if read else section.where
    params = ModelParams.parse({**stated, **read}, source)
    note = check_weights(params, weights, where, allowed_operators=allowed_operators)
    origins = {name: _origin(name, section, read) for name in ModelParams.model_fields}
    return CompletedParams(params, origins, section.ignored, note)


def _origin(name: str, section: ModelSection, read: Mapping[str, Any]) -> str:
    if name in read:
        return f"{section.where} and {THE_WEIGHTS}" if name in section.values else THE_WEIGHTS
    return section.where if name in section.values else "the default"
