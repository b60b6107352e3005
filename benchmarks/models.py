"""Creates the networks of the benchmark's rows, as files that every contender loads."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.fitting import fit_all_layers, fit_last_layers, fitted_unet
from benchmarks.resnet_unet import STRIDE, ResNetUNet, export_program
from cloudseg_ops.contracts.model_ref import ModelParams, ModelRef, model_digest
from cloudseg_ops.engine.network.networks import UNet

EXAMPLE = Path(__file__).parent.parent / "examples" / "cloud_unet" / "weights"
_NORMALIZE = {"mean": [0.4, 0.42, 0.52], "std": [0.24, 0.23, 0.24]}
_LARGE_WIDTH, _LARGE_DEPTH = 64, 4
_RESNET_WIDTHS = {"resnet34": 64, "tinyresnet": 4}
LIBRARY_NETWORKS = ("unet34", "deeplab", "segformer")
"""Models that `benchmarks.library_networks` exports."""
_EXPORT_SECONDS = 900


class MissingModelError(Exception):
    """A model cannot be made here; the message says what is missing."""


class Brightness(nn.Module):
    """A model of negligible cost: bright pixels are cloud."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = nn.Parameter(torch.tensor(0.55))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """From (N, 3, H, W), values 0–1, to logits (N, 1, H, W)."""
        return images.mean(dim=1, keepdim=True) - self.limit


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the benchmark.

    Attributes:
        name: As in a row's name.
        network: `unet`, `resnet`, `brightness`, or `program`: an exported program.
        params: The params.yaml of a plain state dict.
        weights: The state dict, or exported program, for all contenders but the engine.
        staged: The file that the engine loads: the state dict, or an exported program.
        staged_params: The params.yaml of that file.
    """

    name: str
    network: str
    params: ModelParams
    weights: Path
    staged: Path
    staged_params: ModelParams

    def reference(self, uri: str) -> ModelRef:
        """Return the model.json that `pull_model` would write for a staged file at `uri`."""
        md5 = hashlib.md5(self.staged.read_bytes(), usedforsecurity=False).hexdigest()
        return ModelRef(
            revision=self.name,
            commit="0" * 40,
            repository="benchmark",
            md5=md5,
            uri=uri,
            digest=model_digest(md5, self.staged_params),
            params=self.staged_params,
        )


def unet_params(width: int, depth: int, max_side: int | None) -> ModelParams:
    """Parameters of a U-Net for RGB and two classes."""
    return ModelParams.model_validate(
        {
            "architecture": "unet",
            "in_channels": 3,
            "n_classes": 1,
            "arguments": {"width": width, "depth": depth},
            "normalize": _NORMALIZE,
            "max_side": max_side,
        }
    )


def open_model(
    name: str, cache: Path, device: torch.device | str = "cpu", *, model_python: Path | None = None
) -> Model:
    """Make a model's files, unless they are in the cache.

    Args:
        name: `example`: the U-Net of examples/cloud_unet, see its card. `unet31m`: a U-Net of 31 M parameters,
            see `benchmarks.fitting`. `resnet34`: `ResNetUNet`, for the engine as an exported program. `free`:
            the same for `Brightness`. `tiny`: a U-Net of a few hundred parameters, for the harness's own test.
            `tinyresnet`: a narrow `ResNetUNet`, for the same test. `unet34`, `deeplab`, `segformer`: see
            `benchmarks.library_networks`.
        cache: Folder for the files.
        device: Device on which random networks are fitted.
        model_python: Python interpreter of an environment with the libraries of `benchmarks.library_networks`.

    Raises:
        MissingModelError: The model is not in the cache, and there is no such environment.
    """
    cache.mkdir(parents=True, exist_ok=True)
    if name == "example":
        params = unet_params(12, 4, 512)
        return _plain(name, params, EXAMPLE / "v2.pt")
    if name == "unet31m":
        path = cache / "unet31m.pt"
        if not path.exists():
            _save(fitted_unet(_LARGE_WIDTH, _LARGE_DEPTH, device=device), path)
        return _plain(name, unet_params(_LARGE_WIDTH, _LARGE_DEPTH, 1024), path)
    if name == "tiny":
        torch.manual_seed(0)
        _save(UNet(3, 1, 2, 1), cache / "tiny.pt")
        return _plain(name, unet_params(2, 1, None), cache / "tiny.pt")
    if name == "free":
        return _free(cache)
    if name in _RESNET_WIDTHS:
        return _resnet(name, _RESNET_WIDTHS[name], cache, device)
    if name in LIBRARY_NETWORKS:
        return _of_library(name, cache, model_python)
    known = ("example", "unet31m", *_RESNET_WIDTHS, *LIBRARY_NETWORKS, "free", "tiny")
    raise ValueError(f"no model is named {name!r}: there are {', '.join(known)}")


def _plain(name: str, params: ModelParams, path: Path) -> Model:
    return Model(name, "unet", params, path, path, params)


def _free(cache: Path) -> Model:
    network = Brightness().eval()
    _save(network, cache / "free.pt")
    image = torch.zeros(2, 3, 32, 32)
    dynamic = {0: torch.export.Dim("n", min=1), 2: torch.export.Dim("h", min=1), 3: torch.export.Dim("w", min=1)}
    torch.export.save(torch.export.export(network, (image,), dynamic_shapes=(dynamic,)), cache / "free.pt2")
    params = ModelParams(architecture="exported", in_channels=3, n_classes=1, size_multiple=1)
    return Model("free", "brightness", params, cache / "free.pt", cache / "free.pt2", params)


def _resnet(name: str, width: int, cache: Path, device: torch.device | str) -> Model:
    weights, program = cache / f"{name}.pt", cache / f"{name}.pt2"
    if not program.exists():
        torch.manual_seed(0)
        network = ResNetUNet(width)
        if name == "tinyresnet":
            fit_last_layers(network, network.merge[-1], network.head, side=64, steps=10, device=device)
        else:
            fit_all_layers(network, device=device)
        _save(network, weights)
        draft = program.with_suffix(".draft.pt2")
        torch.export.save(export_program(network.requires_grad_(requires_grad=False)), draft)
        draft.replace(program)
    params = _program_params()
    return Model(name, "resnet", params.model_copy(update={"arguments": {"width": width}}), weights, program, params)


def _of_library(name: str, cache: Path, python: Path | None) -> Model:
    program = cache / f"{name}.pt2"
    if not program.exists():
        if python is None or not python.exists():
            raise MissingModelError(f"there is no {program}, nor {python} to export it: run scripts/model-venv.sh")
        command = [str(python), "-m", "benchmarks.library_networks", name, str(program.resolve())]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_EXPORT_SECONDS, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise MissingModelError(f"{python} did not export it: {last}")
    params = _program_params()
    return Model(name, "program", params, program, program, params)


def _program_params() -> ModelParams:
    return ModelParams.model_validate(
        {"architecture": "exported", "in_channels": 3, "n_classes": 1, "normalize": _NORMALIZE, "size_multiple": STRIDE}
    )


def _save(network: nn.Module, path: Path) -> None:
    draft = path.with_suffix(".draft")
    torch.save(network.state_dict(), draft)
    draft.replace(path)


def new_network(network: str, arguments: dict[str, Any]) -> nn.Module:
    """Build an untrained network, as a user's own module would."""
    if network == "resnet":
        return ResNetUNet(**arguments)
    return UNet(3, 1, **arguments) if network == "unet" else Brightness()


def plain_network(network: str, arguments: dict[str, Any], weights: str) -> nn.Module:
    """Load an unmodified network: float32, unfolded batch norms, channels first."""
    if network == "program":
        return torch.export.load(weights).module()
    built = new_network(network, arguments)
    built.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return built.eval().requires_grad_(requires_grad=False)
