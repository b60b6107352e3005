"""A model that is not tagged yet: weights and params.yaml on this machine, for `cloudseg model check`."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from cloudseg_ops.cli.check_outcome import NOT_COMMITTED
from cloudseg_ops.contracts.errors import ModelParamsError, ModelPathError
from cloudseg_ops.contracts.model_ref import ModelRef, model_digest
from cloudseg_ops.contracts.model_section import complete_params, parse_section
from cloudseg_ops.contracts.run_layout import RunLayout, staged_weights
from cloudseg_ops.storage import Store

PARAMS_FILE = "params.yaml"
WEIGHTS_TYPES = frozenset({".pt", ".pt2", ".pth", ".ckpt", ".bin", ".safetensors"})
"""Extensions of weights files, to find one in a folder."""

_log = logging.getLogger(__name__)


def stage_local_model(
    store: Store,
    layout: RunLayout,
    model: Path,
    *,
    path: str | None = None,
    params: str = "",
    allowed_operators: Sequence[str] = (),
) -> ModelRef:
    """Check weights and parameters as `pull_model` does, stage them, and write model.json.

    Args:
        store: The store of STAGING.
        layout: The run's files.
        model: The weights file, or a folder that contains it.
        path: Path of the weights file in that folder; None: its only weights file.
        params: The params file and its section; empty: `params.yaml:model`.
        allowed_operators: Operators outside of aten that an exported program may use.

    Raises:
        ModelPathError: There is no weights file, or there are several.
        ModelParamsError: There is no params.yaml next to it or in a folder above, or it is not valid.
        ModelLoadError: The weights file is not of the kind that the architecture needs, or does not fit it.
    """
    weights = model if model.is_file() else _weights_in(model, path)
    name, _, key = (params or PARAMS_FILE).partition(":")
    params_file = next((file for file in _params_files(weights, name) if file.is_file()), None)
    if params_file is None:
        raise ModelParamsError(f"there is no {name} next to {weights}; write one with a `{key or 'model'}` section")
    section = parse_section(params_file.read_text("utf-8", "replace"), str(params_file), name=key or "model")
    with weights.open("rb") as file:
        completed = complete_params(section, file, str(weights), allowed_operators=allowed_operators)
        file.seek(0)
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    for line in completed.log_lines():
        _log.info("%s", line)
    uri = staged_weights(layout.staging, md5, weights.suffix)
    store.write_file(uri, weights)
    ref = ModelRef(
        revision=str(model),
        commit=NOT_COMMITTED,
        repository=str(weights.resolve().parent),
        md5=md5,
        uri=str(uri),
        digest=model_digest(md5, completed.params),
        params=completed.params,
        allowed_operators=tuple(allowed_operators),
    )
    store.write(layout.model, json.dumps(ref.to_json(), indent=2).encode())
    return ref


def _weights_in(folder: Path, path: str | None) -> Path:
    if path and (folder / path).is_file():
        return folder / path
    found = sorted(file for file in folder.iterdir() if file.suffix in WEIGHTS_TYPES and file.is_file())
    if len(found) == 1 and not path:
        return found[0]
    if pointer := next(folder.glob(f"{path}.dvc" if path else "*.dvc"), None):
        advice = f"there is {pointer.name}, so run `dvc pull`"
    else:
        advice = f"name it with --path; there are {', '.join(file.name for file in found) or 'none'}"
    raise ModelPathError(f"{folder} has no weights file {path or 'that is the only one'}: {advice}")


def _params_files(weights: Path, name: str) -> Iterator[Path]:
    """Yield where the parameters may be: next to the weights, then in each folder above, up to the repository's."""
    for folder in weights.resolve().parents:
        yield folder / name
        if (folder / ".git").exists():
            return
