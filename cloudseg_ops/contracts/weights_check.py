"""Checks a weights file against the parameters of its model, without PyTorch and without reading the weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from cloudseg_ops.contracts.architectures import ARCHITECTURES, EXPORTED, Architecture, Shapes
from cloudseg_ops.contracts.checkpoint_file import Checkpoint, open_checkpoint
from cloudseg_ops.contracts.errors import WeightsFileError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.contracts.program_check import check_program
from cloudseg_ops.contracts.state_dicts import StateDict, choose, compare, find_candidates, other_layers
from cloudseg_ops.contracts.tensor_info import TensorInfo, show_name
from cloudseg_ops.contracts.weights_errors import (
    damaged_error,
    further_layers_error,
    mismatch_error,
    nearest_error,
    no_tensors_error,
    undecided_error,
    wrong_kind_error,
)
from cloudseg_ops.contracts.weights_kind import PROGRAM, STATE_DICTS, WeightsKind, kind_of

_NAMED = 6
"""Entries named that are not used."""


@dataclass(frozen=True, slots=True)
class FoundWeights:
    """The state dict of a model in its weights file.

    Attributes:
        state_dict: The tensors.
        note: Where it was found and what is not used, as a sentence for the log; empty if the file is the state dict.
    """

    state_dict: StateDict
    note: str


def check_weights(params: ModelParams, file: BinaryIO, where: str, *, allowed_operators: Collection[str] = ()) -> str:
    """Check that a file can be the weights file of a model with these parameters.

    Reads the file's first bytes, and of a state dict the names and shapes of its tensors. Of an exported program,
    everything but the values of tensors is checked. Nothing in the file is executed.

    Args:
        params: The model's parameters.
        file: The weights file, seekable.
        where: What the file is and where, for error messages.
        allowed_operators: Operators outside of aten that an exported program may use.

    Returns:
        A sentence for the log: where in the file the state dict is, if it is not the whole file; otherwise empty.

    Raises:
        WeightsFileError: It is not the kind of file that the architecture needs.
        UnsafeProgramError: It is an exported program that could run code when it is opened.
        ModelLoadError: Its tensors, or the model's arguments, are not those of the architecture.
    """
    kind = kind_of(file)
    if params.architecture == EXPORTED:
        if kind is not PROGRAM:
            raise wrong_kind_error(params.architecture, kind, where)
        check_program(file, where, allowed_operators)
        return ""
    architecture = ARCHITECTURES[params.architecture]
    _check_arguments(params, architecture, where)
    if kind not in STATE_DICTS:
        raise wrong_kind_error(params.architecture, kind, where)
    if not architecture.state_dict:
        return ""
    checkpoint = read_checkpoint(file, kind, where)
    expected = architecture.state_dict.shapes(params.in_channels, params.n_classes, params.arguments)
    return find_weights(params, checkpoint, expected, where).note


def read_checkpoint(file: BinaryIO, kind: WeightsKind, where: str) -> Checkpoint:
    """Read what lies in a file of tensors, but not the values of tensors.

    Args:
        file: The file, seekable.
        kind: Its kind, one of `STATE_DICTS`.
        where: What the file is and where, for error messages.

    Raises:
        WeightsFileError: The file is damaged.
    """
    try:
        return open_checkpoint(file, kind)
    except ValueError as error:
        raise damaged_error(kind, where, error) from None


def find_weights(params: ModelParams, checkpoint: Checkpoint, expected: Shapes, where: str) -> FoundWeights:
    """Return the state dict of a model in a checkpoint.

    Args:
        params: The model's parameters.
        checkpoint: What lies in the weights file.
        expected: Shapes of the tensors of the network that the parameters name.
        where: What the file is and where, for error messages.

    Raises:
        WeightsFileError: It contains Python objects where the network's tensors should be.
        ModelLoadError: No state dict in it fits, or several do and it is not clear which one to use.
    """
    candidates = find_candidates(checkpoint.content, expected.keys(), params.weights_key)
    if not candidates:
        raise no_tensors_error(checkpoint.content, params.weights_key, where)
    fits = [candidate for candidate in candidates if not compare(expected, candidate) and not candidate.foreign]
    if not fits:
        raise nearest_error(params, where, candidates, expected)
    chosen = choose(fits)
    if chosen is None:
        raise undecided_error(where, fits)
    if params.weights_key is None and (layers := other_layers(chosen, fits)):
        raise further_layers_error(where, chosen, layers)
    for name, tensor in chosen.tensors.items():
        if not checkpoint.has_values(tensor):
            raise WeightsFileError(f"{where} is damaged: it lacks values of {name}; copy the whole file again")
    return FoundWeights(chosen, _note(chosen, fits, checkpoint.content))


def _check_arguments(params: ModelParams, architecture: Architecture, where: str) -> None:
    if unknown := params.arguments.keys() - architecture.arguments:
        known = " and ".join(sorted(architecture.arguments, reverse=True))
        raise mismatch_error(
            params, where, f"arguments {', '.join(sorted(unknown))} are unknown", f"`model.arguments` may name {known}"
        )


def _note(chosen: StateDict, fits: Sequence[StateDict], content: object) -> str:
    unused = list(_unused(content, chosen.entry, chosen.prefix))
    others = [fit.key for fit in fits if fit.tensors != chosen.tensors and fit.key]
    clauses = [f"the weights are {chosen}"] if chosen.key or chosen.unwrapped else []
    if unused:
        listed = ", ".join(map(show_name, unused[:_NAMED]))
        clauses.append(f"not used: {listed}{', …' if len(unused) > _NAMED else ''}")
    if others:
        clauses.append(
            f"{' and '.join(map(show_name, others))} would fit, too, and a moving average (ema) is preferred; "
            "`weights_key` in the `model` section selects another"
        )
    return "; ".join(clauses)


def _unused(content: object, entry: Sequence[str], prefix: str) -> Iterator[str]:
    """Yield the keys next to an entry, and in it those that are not tensors below the prefix."""
    if not isinstance(content, Mapping):
        return
    if not entry:
        yield from (
            str(name)
            for name, value in content.items()
            if not (isinstance(value, TensorInfo) and str(name).startswith(prefix))
        )
        return
    yield from (str(name) for name in content if str(name) != entry[0])
    for name, value in content.items():
        if str(name) == entry[0]:
            yield from _unused(value, entry[1:], prefix)
