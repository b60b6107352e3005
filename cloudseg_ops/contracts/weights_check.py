"""Checks a weights file against the parameters of its model, without PyTorch and without reading the weights."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping
from typing import BinaryIO

from cloudseg_ops.contracts.architectures import ARCHITECTURES, EXPORTED, Architecture, Shapes, StateDictRule
from cloudseg_ops.contracts.errors import ModelLoadError, WeightsFileError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.contracts.program_check import check_program
from cloudseg_ops.contracts.torch_pickle import MAX_PICKLE_BYTES, ForeignGlobalError, TensorInfo, read_pickle
from cloudseg_ops.contracts.weights_kind import (
    CHECKPOINT,
    LEGACY_CHECKPOINT,
    PROGRAM,
    WeightsKind,
    kind_of,
    read_member,
)

_NAMED = 3
"""Tensors named per difference."""
_LEGACY_HEADERS = 3
"""Pickles before that of the state dict, in the format from before PyTorch 1.6: magic number, version, machine."""
_COUNTER = "num_batches_tracked"
"""Batch norms of checkpoints from before PyTorch 0.4.1 lack it, and PyTorch fills it in."""
_SAVE = "torch.save(network.state_dict(), path)"
_EXPORT = "torch.export.save(program, path)"


def check_weights(params: ModelParams, file: BinaryIO, where: str, *, allowed_operators: Collection[str] = ()) -> None:
    """Check that a file can be the weights file of a model with these parameters.

    Reads the file's first bytes, and of a checkpoint the zip directory and the names and shapes of its tensors. Of an
    exported program, everything but the values of tensors is checked. Nothing in the file is executed.

    Args:
        params: The model's parameters.
        file: The weights file, seekable.
        where: What the file is and where, for error messages.
        allowed_operators: Operators outside of aten that an exported program may use.

    Raises:
        WeightsFileError: It is not the kind of file that the architecture needs.
        UnsafeProgramError: It is an exported program that could run code when it is opened.
        ModelLoadError: Its tensors, or the model's arguments, are not those of the architecture.
    """
    kind = kind_of(file)
    if params.architecture == EXPORTED:
        if kind is not PROGRAM:
            raise _wrong_kind(params, kind, where)
        check_program(file, where, allowed_operators)
        return
    architecture = ARCHITECTURES[params.architecture]
    _check_arguments(params, architecture, where)
    if kind not in (CHECKPOINT, LEGACY_CHECKPOINT):
        raise _wrong_kind(params, kind, where)
    if architecture.state_dict:
        _check_state_dict(params, architecture.state_dict, _read(params, file, kind, where), where)


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


def _check_arguments(params: ModelParams, architecture: Architecture, where: str) -> None:
    if unknown := params.arguments.keys() - architecture.arguments:
        known = " and ".join(sorted(architecture.arguments, reverse=True))
        raise mismatch_error(
            params, where, f"arguments {', '.join(sorted(unknown))} are unknown", f"`model.arguments` may name {known}"
        )


def _wrong_kind(params: ModelParams, kind: WeightsKind, where: str) -> WeightsFileError:
    if params.architecture == EXPORTED:
        needed, how = PROGRAM.name, _EXPORT
        other = f", or set `architecture` in params.yaml to {' or '.join(sorted(ARCHITECTURES))}"
        other = other if kind in (CHECKPOINT, LEGACY_CHECKPOINT) else ""
    else:
        needed, how = "a state dict, written by torch.save", _SAVE
        other = f", or set `architecture: {EXPORTED}` in params.yaml" if kind is PROGRAM else ""
    advice = f"{kind.todo}; or write it with {how}" if kind.todo else f"write it with {how}{other}"
    return WeightsFileError(
        f"{where} is {kind.name}. The architecture {params.architecture} needs {needed}: {advice}; then track it with "
        "`dvc add` and `dvc push`"
    )


def _read(params: ModelParams, file: BinaryIO, kind: WeightsKind, where: str) -> Mapping[object, object]:
    try:
        found = _read_legacy(file) if kind is LEGACY_CHECKPOINT else _read_zip(file)
    except ForeignGlobalError as error:
        raise WeightsFileError(
            f"{where} is not a plain state dict: it contains the Python object {error.name}, and loading that would "
            f"execute code. Save only the tensors, with {_SAVE}; then track the file with `dvc add` and `dvc push`"
        ) from None
    except ValueError as error:
        raise WeightsFileError(
            f"{where} is {kind.name}, but {error}. Write it again with {_SAVE}; then track it with `dvc add` and "
            "`dvc push`"
        ) from None
    if not isinstance(found, Mapping):
        raise mismatch_error(
            params, where, f"it contains a {type(found).__name__}", f"a state dict, written by {_SAVE}"
        )
    return found


def _read_zip(file: BinaryIO) -> object:
    return read_pickle(io.BytesIO(read_member(file, "data.pkl", MAX_PICKLE_BYTES)))


def _read_legacy(file: BinaryIO) -> object:
    file.seek(0)
    start = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    for _ in range(_LEGACY_HEADERS):
        read_pickle(start)
    return read_pickle(start)


def _check_state_dict(params: ModelParams, rule: StateDictRule, content: Mapping[object, object], where: str) -> None:
    found = {str(name): value.shape for name, value in content.items() if isinstance(value, TensorInfo)}
    others = sorted(str(name) for name, value in content.items() if not isinstance(value, TensorInfo))
    expected = rule.shapes(params.in_channels, params.n_classes, params.arguments)
    missing = [name for name in expected if name not in found and not name.endswith(_COUNTER)]
    unexpected = [*(name for name in found if name not in expected), *others]
    reshaped = [
        f"{name} is {found[name]} instead of {shape}"
        for name, shape in expected.items()
        # PyTorch also accepts a counter as a vector, as before 0.4.
        if name in found and found[name] != shape and (shape or len(found[name]) != 1)
    ]
    differences = [
        *_counted("lacks {} of its tensors", missing),
        *_counted("has {} unknown", unexpected),
        *_counted("has {} of another shape", reshaped),
    ]
    if differences:
        cause = _likely_cause(rule, expected, found, content)
        told = f"it {', '.join(differences)}{f'; {cause}' if cause else ''}"
        raise mismatch_error(params, where, told, f"the state dict of this network, written by {_SAVE}")


def _counted(difference: str, names: list[str]) -> Iterable[str]:
    if names:
        listed = "; ".join(names[:_NAMED]) + ("; …" if len(names) > _NAMED else "")
        yield f"{difference.format(len(names))} ({listed})"


def _likely_cause(rule: StateDictRule, expected: Shapes, found: Shapes, content: Mapping[object, object]) -> str:
    """Return what would fit, as a clause; empty if it is unknown."""
    if _sized(found) != _sized(expected) and (made_with := _made_with(rule, found)):
        return f"the file fits {made_with}"
    for name, value in content.items():
        if isinstance(value, Mapping) and expected.keys() & value.keys():
            return f"the state dict is its entry {str(name)!r}: save that alone"
    first = next(iter(expected))
    prefix = next((name.removesuffix(first) for name in found if name.endswith(f".{first}")), "")
    if prefix and all(name.startswith(prefix) for name in found):
        return f"a wrapper such as DataParallel added {prefix!r} to each name: save the wrapped network's state dict"
    return ""


def _made_with(rule: StateDictRule, found: Shapes) -> str:
    """Return the parameters that the file fits, as in params.yaml; empty if it fits none."""
    try:
        values = rule.infer(found)
        arguments = {name: value for name, value in values.items() if name not in ("in_channels", "n_classes")}
        shapes = rule.shapes(values["in_channels"], values["n_classes"], arguments)
    except (KeyError, IndexError, TypeError, ValueError):
        return ""
    if _sized(shapes) != _sized(found):
        return ""
    listed = ", ".join(f"{name}: {value}" for name, value in arguments.items())
    return f"in_channels {values['in_channels']}, n_classes {values['n_classes']}, arguments {{{listed}}}"


def _sized(shapes: Shapes) -> Shapes:
    return {name: shape for name, shape in shapes.items() if shape}
