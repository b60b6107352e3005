"""Lets programs be loaded that return a type of a library that is not installed here, such as transformers' outputs."""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from torch.utils import _pytree as pytree

from cloudseg_ops.contracts.zip_members import read_member

_MAX_BYTES = 256 * 1024 * 1024


def register_output_types(data: bytes) -> None:
    """Register a plain mapping for each type that a program returns and PyTorch does not know.

    Only types are registered that consist of named values, whose names are in the program. Nothing is imported.

    Args:
        data: An exported program.
    """
    try:
        for spec in _output_specs(data):
            for node in _nodes(spec):
                _register(node)
    # Another file, or another format: loading it says what is wrong.
    except (ValueError, LookupError, TypeError, RecursionError):
        return


def _output_specs(data: bytes) -> Iterator[Any]:
    document = json.loads(read_member(io.BytesIO(data), "models/model.json", _MAX_BYTES))
    for call in document["graph_module"]["module_call_graph"]:
        if call["signature"]:
            yield json.loads(call["signature"]["out_spec"])[1]


def _nodes(spec: Any) -> Iterator[Any]:
    yield spec
    for child in spec["children_spec"]:
        yield from _nodes(child)


def _register(node: Any) -> None:
    name, names = node["type"], json.loads(node["context"]) if node["context"] else None
    if name is None or name in pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE or not isinstance(names, list):
        return
    if not all(isinstance(each, str) for each in names):
        return
    mapping = type("Returned", (OrderedDict,), {"__doc__": f"Stands for {name}."})
    pytree.register_pytree_node(
        mapping,
        lambda values: (list(values.values()), list(values)),
        lambda values, keys: mapping(zip(keys, values, strict=True)),
        serialized_type_name=name,
        flatten_with_keys_fn=lambda values: (
            [(pytree.MappingKey(key), value) for key, value in values.items()],
            list(values),
        ),
    )
