"""Programs that return a type of a library that is not installed here."""

import io
import json
import zipfile
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree

from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.predict import Predictor
from cloudseg_ops.engine.network.program_types import register_output_types
from tests.support.lab import model_ref, noise
from tests.support.programs import Head, exported, exported_params

NAME = "a_library.outputs.SegmenterOutput"


class SegmenterOutput(OrderedDict[str, torch.Tensor]):
    """As transformers returns it."""


@pytest.fixture
def program() -> Iterator[bytes]:
    """A program that returns a type that is no longer known once it is exported."""
    pytree.register_pytree_node(
        SegmenterOutput,
        lambda values: (list(values.values()), list(values)),
        lambda values, keys: SegmenterOutput(zip(keys, values, strict=True)),
        serialized_type_name=NAME,
    )
    try:
        data = exported(Head(lambda scores, aux: SegmenterOutput(hidden=aux, logits=scores)))
    finally:
        _forget(SegmenterOutput)
    yield data
    if NAME in pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE:
        _forget(pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE[NAME])


def _forget(kind: type) -> None:
    del pytree.SUPPORTED_NODES[kind]
    del pytree.SUPPORTED_SERIALIZED_TYPES[kind]
    del pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE[NAME]


def test_an_unknown_type_is_read_as_a_dict(program: bytes) -> None:
    ref = model_ref(program, exported_params())
    network = load_network(ref, program, torch.device("cpu"))
    assert network.output.name == "['logits']"
    image = DecodedImage(noise(24, 16))
    wanted = Head(lambda scores, aux: scores).scores(torch.tensor(image.pixels).permute(2, 0, 1)[None] / 255)
    assert np.array_equal(Predictor(ref, network).predict([image])[0].classes, (wanted[0, 0] > 0).numpy())


@pytest.mark.parametrize("context", ['{"__enum__": true, "fqn": "this:s"}', "[1]", "not JSON", None])
def test_other_contents_are_left_to_pytorch(context: str | None) -> None:
    spec: dict[str, object] = {"type": "a.b.C", "context": context, "children_spec": []}
    call = {"signature": {"out_spec": json.dumps([1, spec])}}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("p/models/model.json", json.dumps({"graph_module": {"module_call_graph": [call]}}))
    register_output_types(stream.getvalue())
    assert "a.b.C" not in pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE
    for data in (b"", b"no zip", stream.getvalue()[:60]):
        register_output_types(data)
