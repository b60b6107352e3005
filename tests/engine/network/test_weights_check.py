"""The check without PyTorch agrees with what PyTorch writes and loads."""

import io
import pickle
import warnings
from pathlib import Path

import pytest
import torch

from cloudseg_ops.contracts.architectures import ARCHITECTURES
from cloudseg_ops.contracts.errors import ModelLoadError, WeightsFileError
from cloudseg_ops.contracts.program_header import ProgramShapes, program_shapes
from cloudseg_ops.contracts.weights_check import check_weights
from cloudseg_ops.contracts.weights_kind import LEGACY_CHECKPOINT, kind_of
from tests.support.checkpoints import TINY, checkpoint
from tests.support.lab import state_bytes, tiny_unet, unet_params
from tests.support.programs import Brightness, exported, exported_params

RULED = {name: architecture for name, architecture in ARCHITECTURES.items() if architecture.state_dict}


@pytest.mark.parametrize("name", RULED)
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("n_classes", [1, 5])
@pytest.mark.parametrize("arguments", [{}, {"width": 3}, {"depth": 1, "width": 2}, {"depth": 6, "width": 1}])
def test_the_rule_gives_names_and_shapes_of_the_network(
    name: str, in_channels: int, n_classes: int, arguments: dict[str, int]
) -> None:
    rule = RULED[name].state_dict
    assert rule
    with torch.device("meta"):
        network = RULED[name].load()(in_channels, n_classes, **arguments)
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    assert rule.shapes(in_channels, n_classes, arguments) == shapes
    inferred = rule.infer(shapes)
    assert (inferred.pop("in_channels"), inferred.pop("n_classes")) == (in_channels, n_classes)
    assert rule.shapes(in_channels, n_classes, inferred) == shapes


def saved(content: object, **how: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **how)  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_what_torch_writes_is_accepted(dtype: torch.dtype) -> None:
    network = tiny_unet().to(dtype)
    for data in (
        saved(network.state_dict()),
        saved(dict(network.state_dict())),
        saved({**network.state_dict(), **dict(network.named_parameters())}),
        saved(network.state_dict(), _use_new_zipfile_serialization=False),
    ):
        check_weights(unet_params(), io.BytesIO(data), "it")
        assert len(torch.load(io.BytesIO(data), weights_only=True)) == len(network.state_dict())


def test_what_torch_does_not_load_is_refused() -> None:
    network = tiny_unet()
    for data in (saved(network), saved(network, _use_new_zipfile_serialization=False)):
        with pytest.raises(
            WeightsFileError, match=r"contains the Python object .*\.UNet, and loading that would execute"
        ):
            check_weights(unet_params(), io.BytesIO(data), "it")
    assert kind_of(io.BytesIO(data)) is LEGACY_CHECKPOINT


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_tensors_are_read_where_torch_would_refuse_the_pickle() -> None:
    data = saved({**tiny_unet().state_dict(), "args": {"path": Path("x")}}, pickle_protocol=4)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(io.BytesIO(data), weights_only=True)
    check_weights(unet_params(), io.BytesIO(data), "it")


def test_the_tests_own_checkpoints_are_what_torch_loads() -> None:
    content = torch.load(io.BytesIO(checkpoint(value=0.5)), weights_only=True)
    assert {name: tuple(tensor.shape) for name, tensor in content.items()} == TINY
    assert float(content["head.bias"]) == 0.5


def test_programs_and_scripts() -> None:
    program = exported(Brightness())
    check_weights(exported_params(), io.BytesIO(program), "it")
    assert program_shapes(io.BytesIO(program)) == ProgramShapes(((None, 3, None, None),), ((None, 1, None, None),))
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)), stream)  # type: ignore[no-untyped-call]
    with pytest.raises(WeightsFileError, match="it is a TorchScript archive"):
        check_weights(unet_params(), io.BytesIO(stream.getvalue()), "it")


def test_width_and_depth_of_a_real_file_are_named() -> None:
    with pytest.raises(
        ModelLoadError, match=r"the file fits in_channels 3, n_classes 1, arguments \{width: 4, depth: 2\}"
    ):
        check_weights(unet_params(arguments={}), io.BytesIO(state_bytes(tiny_unet())), "it")


def test_the_check_reads_little_of_a_large_file() -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1) -> bytes:
            found = super().read(size)
            self.count += len(found)
            return found

    with torch.device("cpu"):
        network = ARCHITECTURES["unet"].load()(3, 1, width=16, depth=3)
    data = Counting(state_bytes(network))
    check_weights(unet_params(arguments={"width": 16, "depth": 3}), data, "it")
    assert len(data.getvalue()) > 1_900_000
    assert data.count < 60_000
