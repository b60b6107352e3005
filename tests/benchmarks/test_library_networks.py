"""Rows with exported programs of libraries; `benchmarks.library_networks` needs those, so a small program stands in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.generous import prepare_network
from benchmarks.models import LIBRARY_NETWORKS, MissingModelError, open_model, plain_network
from benchmarks.settings import Setting, build
from cloudseg_ops.contracts.architectures import EXPORTED
from tests.support.programs import exported

ROOT = Path(__file__).parent.parent.parent
IMAGES = torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which all programs were exported before."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 1))
    folder = tmp_path_factory.mktemp("cache")
    for name in LIBRARY_NETWORKS:
        (folder / f"{name}.pt2").write_bytes(exported(layers, multiple=32))
    return folder


def test_all_contenders_get_the_same_program(cache: Path) -> None:
    model = open_model("unet34", cache)
    assert (model.network, model.weights, model.params) == ("program", model.staged, model.staged_params)
    assert (model.params.architecture, model.params.size_multiple) == (EXPORTED, 32)
    expected = plain_network("program", {}, str(model.weights))(IMAGES)
    for setting in (
        Setting(),
        Setting(channels_last=True),
        Setting(folded=True, channels_last=True),
        Setting(folded=True, channels_last=True, precision="bf16"),
        Setting(folded=True, precision="autocast"),
    ):
        forward = build(plain_network("program", {}, str(model.weights)), setting, IMAGES)
        tolerance = 1e-5 if setting.precision == "fp32" else 0.02
        assert (forward(IMAGES).float() - expected).abs().max() < tolerance
    with torch.inference_mode():
        prepared = prepare_network(plain_network("program", {}, str(model.weights)))(IMAGES)
    assert prepared.dtype == torch.float32
    assert (prepared - expected).abs().max() < 0.02


def test_missing_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"there is no .*deeplab\.pt2, .* run scripts/model-venv\.sh"):
        open_model("deeplab", tmp_path, model_python=tmp_path / "python")
    with pytest.raises(MissingModelError, match=r"did not export it: .*segmentation_models_pytorch"):
        open_model("deeplab", tmp_path, model_python=Path(sys.executable))


@pytest.mark.slow
def test_row_without_its_network_is_skipped(tmp_path: Path) -> None:
    arguments = ["--rows", "segformer-256-50kB", "--contenders", "a", "--state", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "SegFormer-B0 (transformers), 256 × 256, files of 50 kB\n   not measured: there is no" in done.stdout
