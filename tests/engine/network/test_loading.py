import io

import pytest
import torch

from cloudseg_ops.contracts.errors import ModelLoadError, NonFiniteWeightsError, WeightsFileError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.engine.network.loading import load_network
from tests.support.lab import model_ref, state_bytes, tiny_unet, unet_params
from tests.support.programs import exported, exported_params

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
    with pytest.raises(
        ModelLoadError, match=r"model v1 .*n_classes 1.*stem.0.weight is .* the file fits in_channels 1"
    ):
        load(state_bytes(tiny_unet(in_channels=1)), unet_params(in_channels=3))


def test_weights_with_other_names_are_rejected() -> None:
    with pytest.raises(ModelLoadError, match=r"lacks 56 of its tensors .stem"):
        load(state_bytes(torch.nn.Linear(2, 2)), unet_params())


def test_unknown_architecture_arguments_are_rejected() -> None:
    with pytest.raises(ModelLoadError, match="may name width and depth"):
        load(state_bytes(tiny_unet()), unet_params(arguments={"girth": 4}))


@pytest.mark.parametrize("weights", [b"", b"no weights", b"PK\x03\x04 nearly"])
@pytest.mark.parametrize("params", [unet_params(), exported_params()], ids=["unet", "exported"])
def test_invalid_weights_are_rejected(weights: bytes, params: ModelParams) -> None:
    with pytest.raises(WeightsFileError, match=r"model v1 .* is an? (empty|text|zip)"):
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


def test_weights_that_are_nan_or_infinite_are_named() -> None:
    network = tiny_unet()
    with torch.no_grad():
        network.get_parameter("stem.0.weight")[0, 0, 0, 0] = float("nan")
        network.head.weight.fill_(float("inf"))
    told = (
        r"model v1 .* at gs://nowhere/weights.pt cannot be used: 2 of its 66 tensors contain values that are NaN or "
        r"infinite: stem.0.weight \(1 of 108 values, float32\), head.weight \(4 of 4 values, float32\); the training "
        r"diverged.* use another revision"
    )
    with pytest.raises(NonFiniteWeightsError, match=told):
        load(state_bytes(network), unet_params())


def test_weights_that_overflowed_in_float16_say_so() -> None:
    network = tiny_unet()
    with torch.no_grad():
        network.head.weight.fill_(70_000.0)
    with pytest.raises(NonFiniteWeightsError, match=r"1 of its 66 .* float16\); values above 65,504 become infinite"):
        load(state_bytes(network.half()), unet_params())
    with torch.no_grad():
        network.head.weight.fill_(40_000.0)
    load(state_bytes(network), unet_params())  # large, but finite


def test_a_variance_that_makes_weights_nan() -> None:
    network = tiny_unet()
    network.get_buffer("stem.1.running_var")[0] = -1.0
    with pytest.raises(
        NonFiniteWeightsError, match=r"with its batch normalization folded into convolutions, .*stem\.0"
    ):
        load(state_bytes(network), unet_params())


class Masked(torch.nn.Module):
    """A program with a buffer of infinite values, as attention has, and parameters that it uses or does not use."""

    mask: torch.Tensor

    def __init__(self, scale: float, unused: float) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor([scale]))
        self.unused = torch.nn.Parameter(torch.tensor([unused]))
        self.register_buffer("mask", torch.tensor([float("-inf")]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.maximum(images.mean(dim=1, keepdim=True) * self.scale, self.mask)


def test_the_parameters_that_a_program_uses_must_be_finite() -> None:
    load(exported(Masked(1.0, float("nan"))), exported_params())
    with pytest.raises(NonFiniteWeightsError, match=r"1 of its 2 tensors .*: scale \(1 of 1 values, float32\)"):
        load(exported(Masked(float("inf"), 1.0)), exported_params())
