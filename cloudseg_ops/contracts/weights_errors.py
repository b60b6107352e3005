"""The errors that say why a weights file cannot be used, and how to make one that can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cloudseg_ops.contracts.architectures import ARCHITECTURES, EXPORTED, Shapes
from cloudseg_ops.contracts.errors import ModelLoadError, WeightsFileError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.contracts.state_dicts import Differences, StateDict, compare, infer_values
from cloudseg_ops.contracts.tensor_info import ForeignObject, TensorInfo, show_name
from cloudseg_ops.contracts.weights_kind import PROGRAM, STATE_DICTS, WeightsKind

_NAMED = 3
"""Tensors named per difference."""
_NAMED_ENTRIES = 12
_SAVE = "torch.save(network.state_dict(), path)"
_EXPORT = "torch.export.save(program, path)"
_TRACK = "then track it with `dvc add` and `dvc push`"


def mismatch_error(params: ModelParams, where: str, found: str, expected: str) -> ModelLoadError:
    """Return the error that says that weights and parameters do not match.

    Args:
        params: The model's parameters.
        where: What the weights file is and where.
        found: What is wrong with it.
        expected: What it should be.
    """
    return ModelLoadError(
        f"{where} does not fit its parameters (architecture {params.architecture}, in_channels {params.in_channels}, "
        f"n_classes {params.n_classes}, arguments {params.arguments}): {found}. Expected: {expected}; correct "
        "params.yaml or the weights file in the registry"
    )


def wrong_kind_error(architecture: str | None, kind: WeightsKind, where: str) -> WeightsFileError:
    """Return the error for a file that is not of the kind that the architecture needs.

    Args:
        architecture: The architecture of params.yaml; None: it names none.
        kind: What the file is.
        where: What the weights file is and where.
    """
    built_in = " or ".join(sorted(ARCHITECTURES))
    if architecture is None:
        needed = f"cloudseg needs {PROGRAM.name}, or a state dict of its architecture {built_in}"
        how, other = f"{_EXPORT} or {_SAVE}", ""
    elif architecture == EXPORTED:
        needed, how = f"The architecture {architecture} needs {PROGRAM.name}", _EXPORT
        other = f", or set `architecture` in params.yaml to {built_in}" if kind in STATE_DICTS else ""
    else:
        needed, how = f"The architecture {architecture} needs a state dict, written by torch.save", _SAVE
        other = f", or set `architecture: {EXPORTED}` in params.yaml" if kind is PROGRAM else ""
    advice = f"{kind.todo}; or write it with {how}" if kind.todo else f"write it with {how}{other}"
    return WeightsFileError(f"{where} is {kind.name}. {needed}: {advice}; {_TRACK}")


def damaged_error(kind: WeightsKind, where: str, found: object) -> WeightsFileError:
    """Return the error for a file of tensors that cannot be read.

    Args:
        kind: What the file is.
        where: What the weights file is and where.
        found: What is wrong with it, as a clause.
    """
    return WeightsFileError(f"{where} is {kind.name}, but {found}. Write it again with {_SAVE}; {_TRACK}")


def foreign_error(where: str, names: Sequence[str]) -> WeightsFileError:
    """Return the error for Python objects where tensors should be.

    Args:
        where: What the weights file is and where.
        names: The objects' names.
    """
    return WeightsFileError(
        f"{where} is not a plain state dict: it contains the Python object {_listed(names)}, and loading that would "
        "execute code. Where that code is installed, load the file with torch.load(path, weights_only=False), and "
        f"save only the tensors, with {_SAVE}; {_TRACK}"
    )


def undecided_error(where: str, fits: Sequence[StateDict]) -> ModelLoadError:
    """Return the error for a file with several state dicts that fit."""
    keys = [fit.key for fit in fits if fit.key]
    return ModelLoadError(
        f"{where} has {len(fits)} state dicts that fit: {'; '.join(map(str, fits))}. Set `weights_key` in the `model` "
        f"section of params.yaml to the one to use ({', '.join(keys)}), or save that one alone, with {_SAVE}"
    )


def further_layers_error(where: str, chosen: StateDict, layers: Sequence[str]) -> ModelLoadError:
    """Return the error for a state dict that may be only a part of a network.

    Args:
        where: What the weights file is and where.
        chosen: The state dict, which fits.
        layers: Tensors next to it that look like further layers.
    """
    return ModelLoadError(
        f"{where} may hold a larger network: {chosen}, fits, but {len(layers)} tensors next to it look like further "
        f"layers ({_listed(layers)}). If no mask depends on them, set `weights_key: {chosen.key}` in the `model` "
        f"section of params.yaml; otherwise export the whole network, with {_EXPORT}, and track that program"
    )


def nearest_error(params: ModelParams, where: str, candidates: Sequence[StateDict], expected: Shapes) -> ModelLoadError:
    """Return the error for a file with state dicts of which none fits; it describes the nearest.

    Args:
        params: The model's parameters.
        where: What the weights file is and where.
        candidates: What may be state dicts; at least one.
        expected: Shapes of the network's tensors.
    """
    nearest = min(candidates, key=lambda candidate: len(compare(expected, candidate)))
    if _is_foreign(nearest, expected):
        return foreign_error(where, nearest.foreign)
    found = _describe(nearest, expected)
    rule = ARCHITECTURES[params.architecture].state_dict
    if rule and (values := infer_values(rule, nearest)):
        found += f"; the file fits {describe_values(values)}"
    return mismatch_error(params, where, found, f"the state dict of this network, written by {_SAVE}")


def unfit_error(where: str, architecture: str, nearest: StateDict, expected: Shapes) -> ModelLoadError:
    """Return the error for a file that fits no built-in architecture, whatever the parameters.

    Args:
        where: What the weights file is and where.
        architecture: The architecture that is nearest to it.
        nearest: The state dict in the file that is nearest to that.
        expected: Shapes of the tensors of that architecture, with the parameters that the file comes nearest to.
    """
    if _is_foreign(nearest, expected):
        return foreign_error(where, nearest.foreign)
    return ModelLoadError(
        f"{where} does not fit any architecture that is built in ({', '.join(sorted(ARCHITECTURES))}). The nearest is "
        f"{architecture}: {_describe(nearest, expected)}. Export the network that the weights belong to, with "
        f"{_EXPORT}, and track the program instead; or, if it is a {architecture}, save its state dict with {_SAVE}"
    )


def _is_foreign(found: StateDict, expected: Shapes) -> bool:
    return bool(found.foreign) and (not compare(expected, found) or expected.keys().isdisjoint(found.tensors))


def _describe(found: StateDict, expected: Shapes) -> str:
    told = f"it {describe_differences(compare(expected, found))}"
    return f"the nearest state dict is {found}: {told}" if found.key else told


def no_tensors_error(content: object, key: str | None, where: str) -> ModelLoadError:
    """Return the error for a file without any state dict.

    Args:
        content: What lies in the file.
        key: The `weights_key` of params.yaml, if it is set.
        where: What the weights file is and where.
    """
    if isinstance(content, ForeignObject):
        return foreign_error(where, [content.name])
    if isinstance(content, Mapping):
        objects = [
            f"{value.name} (its entry {show_name(str(name))!r})"
            for name, value in content.items()
            if isinstance(value, ForeignObject)
        ]
        if objects and key is None:
            return foreign_error(where, objects)
        told = "it has no state dict"
        told += f" that `weights_key: {key}` in params.yaml names" if key else ""
        told += f"; its entries are {', '.join(_entries(content)) or 'none'}"
    else:
        told = f"it contains a {'tensor' if isinstance(content, TensorInfo) else type(content).__name__}"
    return ModelLoadError(f"{where} cannot be used: {told}. Expected: a state dict, written by {_SAVE}")


def describe_values(values: Mapping[str, int]) -> str:
    """Return what a state dict was made with: in_channels, n_classes and arguments by name."""
    arguments = ", ".join(
        f"{name}: {value}" for name, value in values.items() if name not in ("in_channels", "n_classes")
    )
    return f"in_channels {values['in_channels']}, n_classes {values['n_classes']}, arguments {{{arguments}}}"


def describe_differences(differences: Differences) -> str:
    """Return how a state dict differs from a network, as clauses."""
    kinds = {
        "lacks {} of its tensors": differences.missing,
        "has {} unknown": differences.unexpected,
        "has {} of another shape": differences.reshaped,
        "has {} of an unsupported type": differences.unsupported,
    }
    return ", ".join(f"{kind.format(len(names))} ({_listed(names)})" for kind, names in kinds.items() if names)


def _listed(names: Sequence[str]) -> str:
    return "; ".join(map(show_name, names[:_NAMED])) + ("; …" if len(names) > _NAMED else "")


def _entries(content: Mapping[object, object]) -> Iterator[str]:
    for place, name in enumerate(content):
        if place == _NAMED_ENTRIES:
            yield "…"
            return
        yield show_name(str(name))
