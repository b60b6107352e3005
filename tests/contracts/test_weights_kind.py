"""Each kind of file that people have tracked as weights is named."""

import io
import zipfile

import pytest

from cloudseg_ops.contracts.errors import UnsafeProgramError, WeightsFileError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.contracts.weights_check import check_weights
from cloudseg_ops.contracts.weights_kind import CHECKPOINT, PROGRAM, kind_of
from tests.support.archives import plain_program
from tests.support.checkpoints import checkpoint

UNET = ModelParams(architecture="unet", in_channels=3, n_classes=1, arguments={"width": 2, "depth": 1})
EXPORTED = ModelParams(architecture="exported", in_channels=3, n_classes=1)


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name in names:
            made.writestr(name, b"pt2" if name.endswith("archive_format") else b"")
    return stream.getvalue()


OTHERS = {
    b"": "an empty file. .*: copy the file again",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n": "a Git LFS pointer, .* run `git lfs pull` before",
    b"<!DOCTYPE html>\n<title>Sign in</title>": "an HTML page. .* a download saved an error or login page",
    b"\n  <html>": "an HTML page",
    b"<?xml version='1.0'?><Error><Code>AccessDenied": "an XML document. .* a download saved an error",
    b"outs:\n- md5: 00\n  path: model.pt\n": "a DVC file, not what it tracks. .* run `dvc pull`",
    b"weights": "a text file",
    b"\xef\xbb\xbfgr\xc3\xbc\xc3\x9fe": "a text file",
    b"\x89HDF\r\n\x1a\n\0": "an HDF5 file, as Keras writes. .* only PyTorch models are supported",
    b"\x93NUMPY\x01\0": "a NumPy file",
    b"\x1c\0\0\0TFL3": "a TensorFlow Lite model",
    b"\x1c\0\0\0ET12": "an ExecuTorch program",
    b"\x1f\x8b\x08\0": "a file compressed by gzip. .* decompress it first",
    b"\0" * 257 + b"ustar\0": "a tar archive",
    b"PK\x03\x04 cut off": "a zip archive without a readable directory.* copy the whole file again",
    b"\x80\x04\x95\0": "a plain Python pickle, not written by torch.save",
    (28).to_bytes(8, "little") + b'{"head.bias":{"dtype":"F32"}}': "a safetensors file",
    b"\x08\x08\x12\x07pytorch\x1a": "an ONNX model. .* the PyTorch network that it was converted from",
    b"\xff\xfe\x00\x01": "not a file that PyTorch can load",
    zipped(
        "model/data.pkl", "model/constants.pkl", "model/code/x.py"
    ): "a TorchScript archive .* load it with torch.jit.load, and",
    zipped("m/archive_format", "m/data/aotinductor/model/x.so"): "a PT2 package without an exported program",
    zipped("p/.data/extern_modules", "p/data.pkl"): "a torch.package archive, which contains code",
    zipped("config.json", "metadata.json", "model.weights.h5"): "a Keras model",
    zipped("a.npy", "b.npy"): "a NumPy file",
    zipped("photographs/a.jpg"): "a zip archive that PyTorch did not write. .* extract that first",
    zipped(): "a zip archive that PyTorch did not write",
}


@pytest.mark.parametrize(("data", "told"), OTHERS.items(), ids=[told[:24] for told in OTHERS.values()])
def test_a_file_of_another_kind_is_named_with_what_to_do(data: bytes, told: str) -> None:
    for params, how in ((UNET, r"torch\.save\(network"), (EXPORTED, r"torch\.export\.save\(")):
        with pytest.raises(WeightsFileError, match=f"^it is {told}.* with {how}.* then track it with `dvc add`"):
            check_weights(params, io.BytesIO(data), "it")


PROGRAMS = [
    zipped("archive/data/weights/weight_0", "archive/models/model.json", "archive/archive_format", "archive/byteorder"),
    zipped("version", "serialized_exported_program.json", "serialized_state_dict.pt"),
]


@pytest.mark.parametrize("data", PROGRAMS)
def test_an_exported_program_is_recognized_by_its_names(data: bytes) -> None:
    assert kind_of(io.BytesIO(data)) is PROGRAM
    with pytest.raises(WeightsFileError, match=r"or set `architecture: exported` in params.yaml"):
        check_weights(UNET, io.BytesIO(data), "it")


def test_an_exported_program_is_inspected() -> None:
    check_weights(EXPORTED, io.BytesIO(plain_program("torch.ops.aten.relu.default")), "it")
    with pytest.raises(UnsafeProgramError, match=r"^it was not opened, .*target is 'torch\.hub\.load'"):
        check_weights(EXPORTED, io.BytesIO(plain_program("torch.hub.load")), "it")
    with pytest.raises(UnsafeProgramError, match=r"PyTorch 2\.7 and older.*; export the network again"):
        check_weights(EXPORTED, io.BytesIO(PROGRAMS[1]), "it")


def test_a_state_dict_where_a_program_is_expected() -> None:
    assert kind_of(io.BytesIO(checkpoint())) is CHECKPOINT
    with pytest.raises(WeightsFileError, match=r"or set `architecture` in params.yaml to unet"):
        check_weights(EXPORTED, io.BytesIO(checkpoint()), "it")
