"""Fuzzes weights files and `model` sections: what `pull_model` accepts, the engine must load."""

import io
import json
from math import prod
from typing import Any

import torch
import yaml

from cloudseg_ops.contracts.model_section import ModelSection, complete_params, parse_section
from cloudseg_ops.engine.network.loading import load_network
from tests.support.checkpoints import ORDERED_DICT, TINY, archive, checkpoint, names, number, state_dict, text
from tests.support.lab import model_ref

torch.set_num_threads(1)
_WEIGHTS = checkpoint()
_SECTION: dict[str, Any] = {
    "architecture": "unet",
    "in_channels": 3,
    "n_classes": 1,
    "arguments": {"width": 2, "depth": 1},
    "classes": ["clear sky", "cloud"],
    "max_side": 512,
}


def fuzz_section(data: bytes) -> None:
    """Complete a section from a registry with weights."""
    section = parse_section(data.decode("utf-8", "replace"), "params.yaml")
    assert not section.stated.keys() & {*section.ignored}
    found = complete_params(section, io.BytesIO(_WEIGHTS), "model.pt")
    assert (found.params.in_channels, found.params.n_classes) == (3, 1)
    assert all(line.isprintable() for line in found.log_lines())


def fuzz_weights(data: bytes) -> None:
    """Read the parameters off a weights file, and load it."""
    for section in ({}, _SECTION, {"weights_key": "model"}):
        params = complete_params(ModelSection(section, "params.yaml"), io.BytesIO(data), "model.pt").params
        if params.architecture != "exported":
            load_network(model_ref(data, params), data, torch.device("cpu"))


def sections() -> list[bytes]:
    """Valid sections and one with other keys."""
    return [
        yaml.safe_dump({"model": _SECTION}).encode(),
        b"model: {architecture: exported, in_channels: 3, n_classes: 2}",
        b"model: {lr: 0.1, epochs: [1, 2], weights_key: model}",
        b"model: {architecture: exported, in_channels: 3, n_classes: 1, output: probabilities, threshold: 0.4, "
        b"input_size: [512, 768], fit: tile, channel_order: bgr, scale: 4095, output_name: out}",
        b"model:",
    ]


def weights_files() -> list[bytes]:
    """A state dict in each of the formats, a checkpoint of a training, and the description of a program."""
    values = b"".join(bytes(8 if name.endswith("tracked") else 4 * prod(shape)) for name, shape in TINY.items())
    header: dict[str, Any] = {}
    place = 0
    for name, shape in TINY.items():
        size = 8 if name.endswith("tracked") else 4 * prod(shape)
        header[name] = {"dtype": "I64" if size == 8 else "F32", "shape": shape, "data_offsets": [place, place + size]}
        place += size
    tensors = json.dumps(header).encode()
    other = {"epoch": number(7), "args": names("argparse", "Namespace") + b")\x81}b", "model": state_dict(TINY)}
    training = ORDERED_DICT + b"(" + b"".join(text(name) + value for name, value in other.items()) + b"u"
    return [
        _WEIGHTS,
        checkpoint({f"module.{name}": shape for name, shape in TINY.items()}),
        archive(training),
        len(tensors).to_bytes(8, "little") + tensors + values,
        archive(b"N", {"archive_format": b"pt2", "models/model.json": json.dumps(_program()).encode()}),
    ]


def _program() -> dict[str, Any]:
    image = {"arg": {"as_tensor": {"name": "x"}}}
    return {
        "graph_module": {
            "graph": {"tensor_values": {"x": {"sizes": [{"as_int": 3}] * 4}}},
            "signature": {"input_specs": [{"user_input": image}], "output_specs": [{"user_output": image}]},
            "module_call_graph": [{"fqn": "", "signature": {"out_spec": '[1, {"type": null}]'}}],
        }
    }
