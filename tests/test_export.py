"""`export_network`: what networks may return, what is made dynamic, and what is refused."""

import io
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

import cloudseg_ops.export
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.export import Exported, _Unwrapped, export_network

SIZE = (8, 12)


class Net(nn.Module):
    """Two strides of two; dropout and batch norm behave differently in training mode."""

    def __init__(self, classes: int = 1) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.up = nn.ConvTranspose2d(4, classes, 2, stride=2)

    def forward(self, images: torch.Tensor) -> Any:
        return self.up(self.down(images))


class Positions(Net):
    """Takes one height and width."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(1, 1, *SIZE))

    def forward(self, images: torch.Tensor) -> Any:
        return torch.sigmoid(super().forward(images) + self.positions)


@dataclass
class Answer(OrderedDict[str, torch.Tensor]):
    """As transformers returns it: a dict with attributes."""

    logits: torch.Tensor


class Returns(Net):
    """Returns its output in another form."""

    def __init__(self, form: str, classes: int = 1) -> None:
        super().__init__(classes)
        self.form = form

    def forward(self, images: torch.Tensor) -> Any:
        values = super().forward(images)
        forms: dict[str, Callable[[], Any]] = {
            "dict": lambda: {"aux": values * 2, "out": values},
            "tuple": lambda: (values.mean(), values),
            "logits": lambda: Answer(logits=values),
            "classes": lambda: values.argmax(dim=1),
            "text": lambda: "nothing",
            "nan": lambda: values / 0,
        }
        return forms[self.form]()


def export(network: nn.Module, path: Path, **options: Any) -> Exported:
    return export_network(network, path / "model.pt2", multiple=2, example_size=SIZE, **options)


def run(exported: Exported, images: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch.export.load(io.BytesIO(exported.path.read_bytes())).module()(images)
    return found


def test_batch_height_and_width_are_dynamic(tmp_path: Path) -> None:
    network = Net().train()
    exported = export(network, tmp_path, normalize=([0.1, 0.2, 0.3], [1, 1, 1]), classes=["clear", "cloud"])
    for size in ((1, 3, 4, 4), (5, 3, 16, 6)):
        images = torch.randn(size)
        assert torch.allclose(run(exported, images), network(images), atol=1e-5)
    params = ModelParams.parse(yaml.safe_load(exported.yaml)["model"], "params.yaml")
    assert (params.size_multiple, params.in_channels, params.n_classes) == (2, 3, 1)
    assert params.classes == ("clear", "cloud")
    assert params.normalize
    assert params.normalize.mean == (0.1, 0.2, 0.3)
    assert not exported.notes
    content = exported.path.read_bytes()
    assert str(Path(__file__).parent).encode() not in content
    assert b"stack_trace" not in content


@pytest.mark.parametrize("form", ["dict", "tuple", "logits"])
def test_the_tensor_is_taken_out_of_what_the_network_returns(form: str) -> None:
    network = Returns(form).eval()
    images = torch.randn(2, 3, 4, 8)
    assert torch.equal(_Unwrapped(network)(images), Net.forward(network, images))


def test_a_network_of_one_size_has_a_note_and_an_input_size(tmp_path: Path) -> None:
    exported = export(Positions(), tmp_path)
    assert exported.model["input_size"] == list(SIZE)
    assert "size_multiple" not in exported.model
    assert run(exported, torch.randn(3, 3, *SIZE)).shape == (3, 1, *SIZE)
    size, probabilities = exported.notes
    assert "only images of 8 × 12" in size
    assert "PyTorch refused more" in size
    assert "within 0–1" in probabilities
    assert exported.model["output"] == "probabilities"
    assert yaml.safe_load(exported.yaml) == {"model": dict(exported.model)}


def test_class_indices_are_recognized(tmp_path: Path) -> None:
    exported = export(Returns("classes", 3), tmp_path, classes=["clear", "cloud", "haze"])
    assert (exported.model["output"], exported.model["n_classes"]) == ("classes", 3)


class Random(Net):
    """Random in evaluation mode, too."""

    def forward(self, images: torch.Tensor) -> Any:
        return nn.functional.dropout(super().forward(images), 0.5)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (Random(), {}, "values differ from the network's"),
        (Returns("text"), {}, "returns str, in which there is no tensor"),
        (Returns("nan"), {}, "NaN or infinite"),
        (Net(3), {}, "has 3 classes, and classes has 0 names"),
        (Net(), {"classes": ["cloud"]}, "has 2 classes, and classes has 1 names"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    network: nn.Module, options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudseg_ops.export, "_FORMS", cloudseg_ops.export._FORMS[-1:])  # all of them take seconds
    with pytest.raises(ValueError, match=message):
        export(network, tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_the_example_must_fit_the_multiple(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be multiples of 32, at least 64"):
        export_network(Net(), tmp_path / "model.pt2", example_size=(256, 300))
