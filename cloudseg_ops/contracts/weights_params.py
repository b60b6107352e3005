"""Reads the parameters of a model off its weights, where its params.yaml does not state them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from cloudseg_ops.contracts.architectures import ARCHITECTURES, EXPORTED, StateDictRule
from cloudseg_ops.contracts.checkpoint_file import Checkpoint
from cloudseg_ops.contracts.errors import ModelLoadError
from cloudseg_ops.contracts.model_ref import MAX_CHANNELS
from cloudseg_ops.contracts.program_header import describe, program_shapes
from cloudseg_ops.contracts.state_dicts import StateDict, choose, compare, find_candidates, guess_values, infer_values
from cloudseg_ops.contracts.weights_check import read_checkpoint
from cloudseg_ops.contracts.weights_errors import (
    no_tensors_error,
    undecided_error,
    unfit_error,
    wrong_kind_error,
)
from cloudseg_ops.contracts.weights_kind import PROGRAM, STATE_DICTS, kind_of

_COUNTS = ("in_channels", "n_classes")
_OUTPUTS = {"output_name", "output_index"}
_MAX_CLASSES = 256
"""Programs with more channels do not have the layout (N, channels, H, W); the same for those of images."""


def read_params(stated: Mapping[str, Any], file: BinaryIO, where: str) -> dict[str, Any]:
    """Return the parameters that a section does not state, as far as the weights say them.

    Args:
        stated: The parameters that the section states, each of them valid.
        file: The weights file, seekable.
        where: What the file is and where, for error messages.

    Raises:
        WeightsFileError: It is neither a program nor a state dict, or it is damaged.
        ModelLoadError: It fits no built-in architecture, or several state dicts in it fit, or a program contradicts the
            section.
    """
    kind = kind_of(file)
    architecture = stated.get("architecture")
    needed = (PROGRAM,) if architecture == EXPORTED else STATE_DICTS if architecture else (PROGRAM, *STATE_DICTS)
    if kind not in needed:
        raise wrong_kind_error(architecture, kind, where)
    if kind is PROGRAM:
        return _from_program(stated, file, where)
    if architecture and not ARCHITECTURES[architecture].state_dict:
        return {}
    return _from_state_dict(stated, read_checkpoint(file, kind, where), where)


def _from_program(stated: Mapping[str, Any], file: BinaryIO, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {"architecture": EXPORTED}
    try:
        shapes = program_shapes(file)
    except ValueError:
        # Described in another format: the values must be stated.
        return {name: value for name, value in found.items() if name not in stated}
    # Other outputs are chosen, and classes are not counted by channels, if the section says so.
    channels = shapes.in_channels
    classes = None if _OUTPUTS & stated.keys() or stated.get("output") == "classes" else shapes.n_classes
    if "in_channels" in stated and channels not in (None, stated["in_channels"]):
        raise _contradiction(where, f"takes images of shape {describe(shapes.inputs[0])}", "in_channels", stated)
    if "n_classes" in stated and classes not in (None, stated["n_classes"]):
        raise _contradiction(where, f"returns a tensor of shape {describe(shapes.output)}", "n_classes", stated)
    if channels is not None and channels <= MAX_CHANNELS:
        found["in_channels"] = channels
    if classes is not None and classes <= _MAX_CLASSES:
        found["n_classes"] = classes
    return {name: value for name, value in found.items() if name not in stated}


def _contradiction(where: str, found: str, name: str, stated: Mapping[str, Any]) -> ModelLoadError:
    return ModelLoadError(
        f"{where} {found}, but the `model` section of params.yaml says {name} {stated[name]}: correct it, or leave it "
        "out"
    )


def _from_state_dict(stated: Mapping[str, Any], checkpoint: Checkpoint, where: str) -> dict[str, Any]:
    """Return what is read off the state dict, of one of the architectures that have a rule for theirs."""
    rules = {
        name: architecture.state_dict
        for name, architecture in ARCHITECTURES.items()
        if architecture.state_dict and stated.get("architecture", name) == name
    }
    fits: dict[str, list[tuple[StateDict, dict[str, int]]]] = {}
    for name, rule in rules.items():
        found = [
            (candidate, values)
            for candidate in _candidates(checkpoint, rule, stated)
            if (values := infer_values(rule, candidate))
        ]
        # Of several state dicts, those that the stated values describe.
        fits[name] = [fit for fit in found if not _contradicts(stated, fit[1])] or found
    fitting = [name for name in rules if fits[name]]
    if len(fitting) > 1:
        raise ModelLoadError(
            f"{where} fits the architectures {' and '.join(fitting)}: set `architecture` in the `model` section of "
            "params.yaml"
        )
    if not fitting:
        if {"architecture", *_COUNTS} <= stated.keys():
            # The check of the weights says how they differ from what is stated.
            return {}
        raise _unfit_error(stated, rules, checkpoint, where)
    name = fitting[0]
    chosen = choose([candidate for candidate, _ in fits[name]])
    if chosen is None:
        raise undecided_error(where, [candidate for candidate, _ in fits[name]])
    values = next(values for candidate, values in fits[name] if candidate is chosen)
    return _missing(stated, name, rules[name], chosen, values)


def _candidates(checkpoint: Checkpoint, rule: StateDictRule, stated: Mapping[str, Any]) -> list[StateDict]:
    # Names at the defaults: those that other arguments add or remove have the same prefixes.
    return find_candidates(checkpoint.content, rule.shapes(1, 1, {}).keys(), stated.get("weights_key"))


def _contradicts(stated: Mapping[str, Any], values: Mapping[str, int]) -> bool:
    given = {**{name: stated[name] for name in _COUNTS if name in stated}, **stated.get("arguments", {})}
    return any(name in values and values[name] != value for name, value in given.items())


def _missing(
    stated: Mapping[str, Any], name: str, rule: StateDictRule, chosen: StateDict, values: Mapping[str, int]
) -> dict[str, Any]:
    """Return the values that are not stated.

    Arguments that are the defaults remain unstated: they would count in the model's digest.
    """
    found: dict[str, Any] = {"architecture": name, **{count: values[count] for count in _COUNTS}}
    read = {key: value for key, value in found.items() if key not in stated}
    arguments = dict(stated.get("arguments", {}))
    in_channels, n_classes = (stated.get(count, values[count]) for count in _COUNTS)
    if compare(rule.shapes(in_channels, n_classes, arguments), chosen):
        read["arguments"] = {key: value for key, value in values.items() if key not in _COUNTS} | arguments
    return read


def _unfit_error(
    stated: Mapping[str, Any], rules: Mapping[str, StateDictRule], checkpoint: Checkpoint, where: str
) -> ModelLoadError:
    """Return the error for a state dict that fits no architecture; it describes the nearest one."""
    compared = []
    for name, rule in rules.items():
        for candidate in _candidates(checkpoint, rule, stated):
            guess = guess_values(rule, candidate)
            expected = guess[1] if guess else rule.shapes(3, 1, stated.get("arguments", {}))
            compared.append((len(compare(expected, candidate)), name, candidate, expected))
    if not compared:
        return no_tensors_error(checkpoint.content, stated.get("weights_key"), where)
    _, name, nearest, expected = min(compared, key=lambda entry: entry[0])
    return unfit_error(where, name, nearest, expected)
