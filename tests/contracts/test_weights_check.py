import io
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cloudseg_ops.contracts.architectures import ARCHITECTURES, Architecture
from cloudseg_ops.contracts.errors import ModelLoadError, WeightsFileError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.contracts.weights_check import check_weights
from tests.support.checkpoints import (
    TINY,
    archive,
    checkpoint,
    names,
    number,
    pickled,
    state_dict,
    tensor,
    text,
)


def params(**changed: Any) -> ModelParams:
    return ModelParams.model_validate(
        {"architecture": "unet", "in_channels": 3, "n_classes": 1, "arguments": {"width": 2, "depth": 1}} | changed
    )


EXPORTED = params(architecture="exported", arguments={})


def check(data: bytes, expected: ModelParams | None = None) -> None:
    check_weights(expected or params(), io.BytesIO(data), "'model.pt' of registry at v1")


def test_the_state_dict_of_the_model() -> None:
    check(checkpoint())
    # Their counters are missing, a vector, or not a number: PyTorch loads these, too.
    check(checkpoint({name: shape for name, shape in TINY.items() if not name.endswith("tracked")}))
    check(checkpoint({name: shape or (1,) for name, shape in TINY.items()}))


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"in_channels": 1}, "1 of another shape (stem.0.weight is (2, 1, 3, 3) instead of (2, 3, 3, 3)); the "
         "file fits in_channels 1, n_classes 1, arguments {width: 2, depth: 1}"),
        ({"n_classes": 4}, "the file fits in_channels 3, n_classes 4, arguments {width: 2, depth: 1}"),
        ({"width": 8}, "the file fits in_channels 3, n_classes 1, arguments {width: 8, depth: 1}"),
        ({"depth": 3}, "; …); the file fits in_channels 3, n_classes 1, arguments {width: 2, depth: 3}"),
    ],
)  # fmt: skip
def test_a_network_of_other_parameters_is_named_with_them(made: dict[str, int], told: str) -> None:
    values = {"in_channels": 3, "n_classes": 1, "width": 2, "depth": 1} | made
    rule = ARCHITECTURES["unet"].state_dict
    assert rule
    data = checkpoint(rule.shapes(values.pop("in_channels"), values.pop("n_classes"), values))
    with pytest.raises(ModelLoadError) as raised:
        check(data)
    assert str(raised.value).startswith("'model.pt' of registry at v1 does not fit its parameters (architecture unet, ")
    assert told in str(raised.value)
    assert type(raised.value) is ModelLoadError


def test_names_that_are_missing_and_unknown() -> None:
    shapes = {name: shape for name, shape in TINY.items() if name != "head.bias"} | {"extra.weight": (1,)}
    told = r"it lacks 1 of its tensors \(head.bias\), has 1 unknown \(extra.weight\). Expected: the state dict of"
    with pytest.raises(ModelLoadError, match=told):
        check(checkpoint(shapes))


def test_content_that_is_not_a_state_dict() -> None:
    with pytest.raises(ModelLoadError, match=r"it contains a tensor. Expected: a state dict, written by torch.save"):
        check(archive(tensor("0", (2,))))
    with pytest.raises(ModelLoadError, match=r"it contains a list"):
        check(archive(b"](K\x01K\x02e"))


def test_an_argument_that_the_architecture_does_not_have() -> None:
    with pytest.raises(ModelLoadError, match=r"arguments girth are unknown.*may name width and depth"):
        check(checkpoint(), params(arguments={"girth": 4}))


def test_an_architecture_without_a_rule_is_checked_by_the_kind_of_file(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Architecture("nowhere:Network", frozenset(), lambda _: 1)
    monkeypatch.setitem(ARCHITECTURES, "other", other)
    check(archive(names("my_networks", "Network")), params(architecture="other", arguments={}))
    with pytest.raises(WeightsFileError, match=r"is an empty file. The architecture other needs a state dict"):
        check(b"", params(architecture="other", arguments={}))


HARMLESS = names("builtins", "print") + b"(" + text("weights ran code") + b"tR"
HOSTILE = {
    "a call": archive(HARMLESS),
    "a call among tensors": archive(state_dict(TINY, {"x": HARMLESS})),
    "a whole module": archive(names("torch.nn.modules.container", "Sequential") + b")\x81"),
    "a module in the old format": pickled(number(1)),
    "attributes": archive(names("torch._utils", "_rebuild_tensor_v2") + b"}b."),
    "another operation": archive(b"Va text\n"),
    "a tuple of nothing": archive(b"\x87"),
    "no mark": archive(b"t"),
    "no value": archive(b""),
    "an unknown place": archive(b"h\x07"),
    "a huge place in the memo": archive(b"}r\xff\xff\xff\x7f" + b"j\xff\xff\xff\x7e"),
    "a huge text": archive(b"\x8d" + b"\xff" * 7 + b"\x7f"),
    "a huge number": archive(b"\x8b\xff\xff\xff\x7f"),
    "a key that is a dictionary": archive(b"}}}s"),
    "more operations than any": archive(b"}" * 600_000),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_pickle_is_refused_and_runs_nothing(data: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelLoadError, match=r"'model.pt' of registry at v1"):
        check(data)
    assert "ran code" not in capsys.readouterr().out


def test_a_foreign_object_is_named() -> None:
    with pytest.raises(
        WeightsFileError,
        match=r"contains the Python object my_networks.Network .its entry 'x'., and loading that would",
    ):
        check(archive(state_dict(TINY, {"x": names("my_networks", "Network")})))
    with pytest.raises(WeightsFileError, match=r"contains the Python object a.b, and loading that would"):
        check(archive(b"\x8c\x01a\x8c\x01b\x93"))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("archive/data.pkl", b"}" * (32 << 20))
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(WeightsFileError, match=r"its data.pkl has 33554432 bytes, more than"):
        check(stream.getvalue())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    assert time.process_time() - began < 1


def test_a_huge_directory_is_not_read(tmp_path: Path) -> None:
    end = bytearray(checkpoint()[-22:])
    # The end of the zip file says that its directory has 2 GiB; the (sparse) file is large enough for that.
    end[12:16] = (2 << 30).to_bytes(4, "little")
    end[16:20] = bytes(4)
    path = tmp_path / "large.pt"
    with path.open("wb") as made:
        made.write(b"PK\x03\x04")
        made.seek(3 << 30)
        made.write(end)
    tracemalloc.start()
    with path.open("rb") as file, pytest.raises(WeightsFileError, match=r"without a readable directory"):
        check_weights(params(), file, "it")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_every_cut_and_every_flipped_byte_is_refused_or_harmless() -> None:
    data = archive(state_dict({"head.bias": (1,)}))
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x55
        for damaged in (data[:place], bytes(changed)):
            with pytest.raises(ModelLoadError):
                check(damaged)
