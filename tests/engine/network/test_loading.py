import io

import pytest
import torch

from cloudseg_ops.contracts.errors import ModelLoadError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.engine.network.loading import load_network
from tests.support.lab import model_ref, state_bytes, tiny_unet, unet_params
from tests.support.programs import Brightness, exported_params

CPU = torch.device("cpu")


def load(weights: bytes, params: ModelParams) -> torch.nn.Module:
    return load_network(model_ref(weights, params), weights, CPU).forward


def test_folding_batch_norm_keeps_the_logits() -> None:
    network = tiny_unet(2)
    loaded = load(state_bytes(network), unet_params(2))
    assert not [module for module in loaded.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    images = torch.rand(2, 3, 32, 48)
    with torch.inference_mode():
        assert torch.allclose(loaded(images), network(images), atol=1e-4)


def test_weights_of_another_shape_are_rejected() -> None:
    with pytest.raises(ModelLoadError, match=r"model v1 .*n_classes 1.*size mismatch for stem"):
        load(state_bytes(tiny_unet(in_channels=1)), unet_params(in_channels=3))


def test_weights_with_other_names_are_rejected() -> None:
    with pytest.raises(ModelLoadError, match=r"Missing key.*stem"):
        load(state_bytes(torch.nn.Linear(2, 2)), unet_params())


def test_unknown_architecture_arguments_are_rejected() -> None:
    with pytest.raises(ModelLoadError, match="may name width and depth"):
        load(state_bytes(tiny_unet()), unet_params(arguments={"girth": 4}))


@pytest.mark.parametrize("weights", [b"", b"no weights", b"PK\x03\x04 nearly"])
@pytest.mark.parametrize("params", [unet_params(), exported_params()], ids=["unet", "exported"])
def test_invalid_weights_are_rejected(weights: bytes, params: ModelParams) -> None:
    with pytest.raises(ModelLoadError, match="does not fit its parameters"):
        load(weights, params)


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("weights ran code",)


def test_weights_cannot_run_code(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.BytesIO()
    torch.save({"stem": Code()}, stream)
    with pytest.raises(ModelLoadError):
        load(stream.getvalue(), unet_params())
    assert "ran code" not in capsys.readouterr().out


def test_list_is_rejected_as_a_state_dict() -> None:
    stream = io.BytesIO()
    torch.save([1, 2], stream)
    with pytest.raises(ModelLoadError):
        load(stream.getvalue(), unet_params())


def test_a_program_with_a_fixed_input_size_is_rejected() -> None:
    stream = io.BytesIO()
    torch.export.save(torch.export.export(Brightness(), (torch.rand(1, 3, 16, 16),)), stream)
    with pytest.raises(ModelLoadError, match="dynamic H and W"):
        load(stream.getvalue(), exported_params())
