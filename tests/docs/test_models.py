"""docs/models.md, followed step by step: each way from trained weights to a revision that a run can use.

The recipes run in the environment of scripts/model-venv.sh, which takes several gigabytes; without it they are skipped.
Weights are random, because none can be downloaded.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cloudseg_ops.cli.commands import main
from cloudseg_ops.cli.model_check import REQUIREMENTS
from tests.support.commands import check_links, check_syntax
from tests.support.lab import picture

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "models.md"
PAGE = DOCUMENT.read_text("utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")}
VENV = ROOT / ".cloudseg" / "model-venv"
LOCK = ROOT / "requirements" / "models.lock"
MAX_LINES = 20
SECONDS = 400

# What a team has before it begins: trained weights, and its own modules. By the section's title.
TRAINED = {
    "segmentation-models-pytorch": """\
import segmentation_models_pytorch as smp, torch
torch.save(smp.Unet("resnet34", encoder_weights=None, classes=1).state_dict(), "trained.pt")
""",
    "torchvision": """\
import torch
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large as make
torch.save(make(weights=None, weights_backbone=None, num_classes=2, aux_loss=True).state_dict(), "trained.pt")
""",
    "transformers": """\
from transformers import SegformerConfig, SegformerForSemanticSegmentation
labels = {0: "clear sky", 1: "cloud", 2: "ground"}
config = SegformerConfig(id2label=labels, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], decoder_hidden_size=16)
SegformerForSemanticSegmentation(config).save_pretrained("trained")
""",
    "Lightning": """\
import lightning, torch
from pathlib import Path
Path("training.py").write_text('''
import lightning, torch
from torch import nn


class CloudModule(lightning.LightningModule):
    def __init__(self, width=4):
        super().__init__()
        self.save_hyperparameters()
        self.network = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 2, 1)
        )

    def forward(self, images):
        return self.network(images)

    def training_step(self, batch, index):
        images, classes = batch
        return nn.functional.cross_entropy(self(images), classes)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())
''')
from training import CloudModule
data = torch.utils.data.TensorDataset(torch.rand(2, 3, 32, 32), torch.ones(2, 32, 32, dtype=torch.long))
trainer = lightning.Trainer(max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False)
trainer.fit(CloudModule(), torch.utils.data.DataLoader(data, batch_size=2))
trainer.save_checkpoint("best.ckpt")
""",
    "Your own module": """\
import torch
from pathlib import Path
Path("networks.py").write_text('''
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.down = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(width, 1, 2, stride=2)

    def forward(self, images):
        return torch.sigmoid(self.up(torch.relu(self.down(images))))
''')
from networks import Net
torch.save(Net(width=8).state_dict(), "trained.pt")
""",
}
needs_libraries = pytest.mark.skipif(
    not (VENV / ".installed").is_file() or (VENV / ".installed").read_bytes() != LOCK.read_bytes(),
    reason="scripts/model-venv.sh has not made .cloudseg/model-venv with requirements/models.lock",
)


def blocks(section: str, language: str) -> list[str]:
    """The code of a section of the page."""
    return re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], re.DOTALL)


PUBLISH, REGISTER = blocks("Publish", "sh")


def sh(code: str, folder: Path, **environment: str) -> None:
    """Run shell commands with the tools that this Python's environment has."""
    tools = Path(sys.executable).parent
    identity = {f"GIT_{role}_{key}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env={**os.environ, **identity, **environment, "PATH": f"{tools}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """An empty registry, made as the page says, with the repository that it is pushed to."""
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "origin.git")], check=True)
    (code,) = blocks("The registry", "sh")
    sh(code, tmp_path, DVC_REMOTE=str(tmp_path / "remote"), GIT_URL=str(tmp_path / "origin.git"))
    return tmp_path / "models"


def export(section: str, folder: Path) -> None:
    """Train, in a manner of speaking, and run the section's recipe."""
    (recipe,) = blocks(section, "python")
    for code in (TRAINED[section], recipe):
        done = subprocess.run(
            [str(VENV / "bin/python"), "-W", "ignore", "-c", code],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": f"{ROOT}:{folder}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@needs_libraries
@pytest.mark.slow
@pytest.mark.timeout(3 * SECONDS)
@pytest.mark.parametrize("section", TRAINED)
def test_recipe_gives_a_revision_that_the_engine_runs(
    section: str, registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    export(section, registry)
    sh(PUBLISH, registry)
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for index in range(3):
        (photographs / f"{index}.png").write_bytes(picture(90, 70, seed=index))
    monkeypatch.chdir(tmp_path)
    command = ["model", "check", "v1", "--repository", str(tmp_path / "origin.git"), "--path", "model.pt2"]
    code = main([*command, "--images", str(photographs)])
    output = capsys.readouterr()
    assert code == 0, output.err
    assert "network    exported, 3 channels" in output.out
    assert "images/s" in output.out
    assert (tmp_path / "model-check.html").is_file()


@pytest.mark.parametrize("section", TRAINED)
def test_recipe_is_short_and_valid(section: str) -> None:
    (recipe,) = blocks(section, "python")
    compile(recipe, section, "exec")
    assert len(recipe.splitlines()) + len(PUBLISH.splitlines()) < MAX_LINES


def test_commands_are_valid_bash() -> None:
    check_syntax(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))


def test_the_engines_packages_are_those_of_the_command() -> None:
    assert f"`pip install {shlex.join(REQUIREMENTS)}`" in PAGE
    assert f"tested with {REQUIREMENTS[0].partition('==')[2]}" in PAGE


def test_link_targets_exist() -> None:
    check_links(DOCUMENT)


@pytest.mark.slow
def test_registry_is_made_and_a_version_registered(registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(ROOT / "tests/engine/network/programs/unet.pt2", registry / "model.pt2")
    (registry / "params.yaml").write_text("model: {size_multiple: 4}\n")
    sh(PUBLISH, registry)
    (artifacts,) = blocks("Publish", "yaml")
    (registry / "dvc.yaml").write_text(artifacts)
    sh(REGISTER, registry)
    for address in ("clouds@v1.0.0", "clouds#prod", "v1"):
        code = main(["resolve", address, "--repository", str(registry.parent / "origin.git"), "--path", "model.pt2"])
        output = capsys.readouterr()
        assert code == 0, output.err
        assert "model.pt2" in output.out
