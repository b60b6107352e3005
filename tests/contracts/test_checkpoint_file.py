"""Files of tensors that are damaged or hostile: refused with what is wrong, in bounded memory."""

import io
import json
import struct
import time
from typing import Any

import pytest

from cloudseg_ops.contracts.checkpoint_file import open_checkpoint
from cloudseg_ops.contracts.errors import ModelLoadError, WeightsFileError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.contracts.tensor_info import TensorInfo, contiguous
from cloudseg_ops.contracts.torch_pickle import ForeignGlobalError, read_pickle
from cloudseg_ops.contracts.weights_check import check_weights
from cloudseg_ops.contracts.weights_kind import CHECKPOINT, SAFETENSORS, kind_of
from tests.support.checkpoints import TINY, archive, checkpoint, names, pickled, state_dict, tensor, text

PARAMS = ModelParams(architecture="unet", in_channels=3, n_classes=1, arguments={"width": 2, "depth": 1})


def packed(header: object, values: bytes = b"") -> bytes:
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(data)) + data + values


def entry(shape: list[int], first: int, last: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


def test_a_safetensors_file() -> None:
    data = packed({"__metadata__": {"format": "pt"}, "a": entry([2, 3], 4, 28), "b": entry([], 0, 4)}, bytes(range(28)))
    assert kind_of(io.BytesIO(data)) is SAFETENSORS
    found = open_checkpoint(io.BytesIO(data), SAFETENSORS)
    assert found.content == {"a": TensorInfo((2, 3), "FloatStorage", "a"), "b": TensorInfo((), "FloatStorage", "b")}
    assert found.values(TensorInfo((2, 3), "FloatStorage", "a")) == bytes(range(4, 28))
    assert found.values(TensorInfo((), "FloatStorage", "b")) == bytes(range(4))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (packed({"a": entry([2], 0, 8)}, b"1234567"), r"it ends before the values of a: copy the whole file again"),
        (packed({"a": entry([3], 0, 8)}, b"12345678"), r"gives a 8 bytes for a shape of \(3,\), type F32"),
        (packed({"a": entry([-1], 0, 8)}), r"says of a not where it is"),
        (packed({"a": entry([2**70], 0, 8)}), r"says of a not where it is"),
        (packed({"a": {"dtype": "F32"}}), r"says of a not where it is"),
        (packed({"a": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}), r"says of a not where it is"),
        (packed(b'{"a": '), r"its header is not JSON"),
        (packed(b'{"a":' * 4000), r"its header is not JSON \(it is nested too deeply\)"),
        (struct.pack("<Q", 50_000_000) + b"{}", r"its header has 50000000 bytes, more than the"),
        (packed({"a": entry([2], 0, 8)}, bytes(8)), r"it lacks 34 of its tensors .* has 1 unknown \(a\)"),
        (packed({name: entry(list(shape), 0, 0, "F8_E4M3") for name, shape in TINY.items()}),
         r"has 40 of an unsupported type \(stem\.0\.weight holds F8_E4M3; "),
    ],
)  # fmt: skip
def test_a_safetensors_file_that_cannot_be_used(data: bytes, told: str) -> None:
    with pytest.raises(ModelLoadError, match=told):
        check_weights(PARAMS, io.BytesIO(data), "it")


def test_values_that_are_not_in_the_file() -> None:
    with pytest.raises(WeightsFileError, match=r"it lacks values of stem\.0\.weight; copy the whole file again"):
        check_weights(PARAMS, io.BytesIO(archive(state_dict(TINY))), "it")
    data = archive(tensor("0", (2, 2)), {"data/0": bytes(12)})
    found = open_checkpoint(io.BytesIO(data), CHECKPOINT)
    assert isinstance(found.content, TensorInfo)
    with pytest.raises(ValueError, match=r"its storage '0' is too short for a tensor of shape \(2, 2\)"):
        found.values(found.content)
    with pytest.raises(ValueError, match="too short"):
        found.values(TensorInfo((1,), "FloatStorage", "missing"))


def test_the_place_of_a_tensor_in_its_storage() -> None:
    assert contiguous((2, 3, 4)) == (12, 4, 1)
    assert TensorInfo((2, 3), "FloatStorage").end == 6
    assert TensorInfo((2, 3), "FloatStorage", "0", 5, (1, 2)).end == 5 + 1 + 4 + 1
    assert TensorInfo((2, 0), "FloatStorage", "0", 5, (1, 2)).end == 0
    found = open_checkpoint(io.BytesIO(checkpoint(value=0.5)), CHECKPOINT)
    assert isinstance(found.content, dict)
    assert found.values(found.content["head.bias"]) == struct.pack("<f", 0.5)


HUGE = {
    "a huge side": tensor("0", (3, 1)).replace(b"(J\x03\x00\x00\x00", b"(\x8a\x09" + b"\xff" * 8 + b"\x00", 1),
    "a negative side": tensor("0", (-1,)),
    "no strides": names("torch._utils", "_rebuild_tensor_v2")
    + b"((" + text("storage") + names("torch", "FloatStorage") + text("0") + text("cpu") + b"K\x01tQK\x00K\x01\x85)tR",
}  # fmt: skip


@pytest.mark.parametrize("operations", HUGE.values(), ids=HUGE)
def test_a_tensor_of_impossible_shape_or_place(operations: bytes) -> None:
    with pytest.raises(ValueError, match=r"a tensor has no shape or no place"):
        read_pickle(io.BytesIO(pickled(operations)))


def test_other_objects_are_an_error_where_they_are_not_expected() -> None:
    operations = names("builtins", "print") + b"(" + text("ran") + b"tR"
    with pytest.raises(ForeignGlobalError, match=r"names builtins\.print"):
        read_pickle(io.BytesIO(pickled(operations)))
    with pytest.raises(ForeignGlobalError, match=r"names collections\.defaultdict"):
        read_pickle(io.BytesIO(pickled(names("collections", "defaultdict") + b")R")))
    with pytest.raises(ValueError, match=r"operation STACK_GLOBAL, .*; save it without `pickle_protocol`"):
        read_pickle(io.BytesIO(pickled(b"\x8c\x01a\x8c\x01b\x93")))
    with pytest.raises(ValueError, match="something other than a dictionary or a tensor is built"):
        read_pickle(io.BytesIO(pickled(names("torch", "FloatStorage") + b")R")))


def test_python_2_wrote_dictionaries_as_lists_of_pairs() -> None:
    pairs = b"](](U\x01aK\x01e](U\x01bK\x02ee\x85"
    assert read_pickle(io.BytesIO(pickled(names("collections", "OrderedDict") + pairs + b"R"))) == {"a": 1, "b": 2}


def test_dictionaries_that_contain_themselves_or_each_other() -> None:
    # {"a": itself}; and a tower of dictionaries, each of which has the one below it many times
    for operations in (b"}q\x00" + text("a") + b"h\x00s", _tower(40)):
        with pytest.raises(ModelLoadError, match="it has no state dict"):
            check_weights(PARAMS, io.BytesIO(archive(operations)), "it")


def _tower(height: int) -> bytes:
    levels = b"}q\x00"
    for level in range(height):
        entries = b"".join(text(f"{place}") + b"h" + bytes([level]) for place in range(50))
        levels += b"}q" + bytes([level + 1]) + b"(" + entries + b"u"
    return levels


def test_a_large_hostile_pickle_is_looked_at_quickly_and_named_briefly() -> None:
    first = text("a") + tensor("0", (1,)) + b"q\x01"
    many = b"".join(text(f"{'stem.0.' * 14}{place}.weight") + b"h\x01" for place in range(5_000))
    long = text("x" * 1_000_000) + b"h\x01"
    began = time.process_time()
    with pytest.raises(ModelLoadError) as raised:
        check_weights(PARAMS, io.BytesIO(archive(b"}(" + first + long + many + b"u")), "it")
    assert len(str(raised.value)) < 2_000
    assert time.process_time() - began < 3
