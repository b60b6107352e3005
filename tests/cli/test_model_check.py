"""`cloudseg model check`: what it prints, what it writes, and that it ends with the errors of a run."""

import importlib.util
import io
import re
import shutil
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from cloudseg_ops.cli.check_photographs import find_photographs
from cloudseg_ops.cli.commands import main
from cloudseg_ops.cli.local_model import stage_local_model
from cloudseg_ops.cli.model_check import REQUIREMENTS
from cloudseg_ops.contracts.errors import ModelParamsError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage.folder_store import FolderStore
from tests.registry.conftest import Registry, make_registry
from tests.support.lab import overflowing_unet, picture, state_bytes, tiny_unet, unet_params
from tests.support.pixels import noise

ROOT = Path(__file__).parents[2]
PARAMS: dict[str, Any] = {
    "architecture": "unet",
    "arguments": {"width": 4, "depth": 2},
    "in_channels": 3,
    "n_classes": 1,
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A laptop without any setting of the DAG."""
    for name in ("REPOSITORY", "PATH", "REVISION"):
        monkeypatch.delenv(f"CLOUDSEG_MODEL_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Four photographs in two sizes, one in a subfolder, one truncated; and other files."""
    folder = tmp_path / "photographs"
    (folder / "more").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.png", "more/c.png")):
        (folder / name).write_bytes(picture(40 + 30 * (index == 2), 30, seed=index))
    stream = io.BytesIO()
    Image.fromarray(noise(64, 64, seed=9)).save(stream, "JPEG")
    (folder / "half <b>.jpg").write_bytes(stream.getvalue()[: stream.tell() // 2])
    for name in ("notes.txt", ".DS_Store", "a.png.mask.png"):
        (folder / name).write_text("x")
    return folder


def write_model(folder: Path, weights: bytes, **params: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.pt").write_bytes(weights)
    (folder / "params.yaml").write_text(yaml.safe_dump({"model": {**PARAMS, **params}}))
    return folder


def check(model: object, photographs: Path, *more: str) -> int:
    return main(["model", "check", str(model), "--images", str(photographs), *more])


def lines(output: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in output.splitlines():
        found.setdefault(line[:10].strip(), []).append(line[11:])
    return found


class Pictures(HTMLParser):
    """Collects the page's pictures, and fails on scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        values = dict(attrs)
        if tag == "img":
            assert (values["src"] or "").startswith("data:image/jpeg;base64,")
            self.names.append(values["alt"] or "")


@pytest.mark.slow
def test_a_local_model_is_run_as_a_run_would(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["clear sky", "cloud", "sun"]
    model = write_model(tmp_path / "model", state_bytes(tiny_unet(3)), n_classes=3, classes=names)
    assert check(model, photographs) == 0
    printed = lines(capsys.readouterr().out)
    assert printed["images"] == [f"4 photographs in {photographs}; not photographs: 1 other files"]
    assert max(printed["shapes"]).startswith("1 × 3 × 32 × 72 → 1 × 3 × 32 × 72")
    shares = [float(share) for share in re.findall(r"([\d.]+)%", printed["classes"][0])]
    assert [name in printed["classes"][0] for name in names] == [True] * 3
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert re.search(r"agrees with float32 on (100\.00|99\.\d\d)%", printed["precision"][0])
    assert re.search(r"^[\d.,]+ images/s on \d+ CPUs; loaded in ", printed["speed"][0])
    assert re.fullmatch(r"[\d.]+ MB at the peak", printed["memory"][0])
    assert printed["quarantine"][0].startswith("half <b>.jpg: the file is truncated")
    page = Pictures()
    page.feed(text := (tmp_path / "model-check.html").read_text("utf-8"))
    assert len(page.names) == 6
    assert "half &lt;b&gt;.jpg" in text
    assert "<b>.jpg" not in text


@pytest.mark.slow
def test_a_tag_of_a_registry_is_checked(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry: Registry = make_registry(tmp_path)
    (registry.path / "params.yaml").write_text(yaml.safe_dump({"model": PARAMS}))
    registry.track("model.pt", state_bytes(tiny_unet()))
    commit = registry.commit("one", "v1")
    registry.forget_cache()
    assert check("v1", photographs, "--repository", str(registry.path), "--count", "1", "--verbose") == 0
    output = capsys.readouterr()
    printed = lines(output.out)
    assert printed["model"][0].startswith(f"v1 (commit {commit[:12]}, md5 ")
    assert printed["images"][0].startswith("1 of 4 photographs")
    assert "computing on the CPU" in output.err


@pytest.mark.slow
def test_what_would_end_a_run_ends_the_check(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "model", state_bytes(overflowing_unet()))
    assert check(model, photographs) == 2
    output = capsys.readouterr()
    assert "a run would end with this error: " in output.err
    assert "3 of 4 images unaccounted for" in output.err
    assert "returned logits that are NaN or infinite" in output.err
    assert not (tmp_path / "model-check.html").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_classes": 2}, "does not fit its parameters"),
        ({"in_channels": "three"}, "in_channels"),
        ({"architecture": "exported"}, "torch.export.save"),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_the_engine(
    change: dict[str, Any], message: str, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "model", state_bytes(tiny_unet()), **change)
    assert check(model, photographs) == 2
    assert message in capsys.readouterr().err


def test_unknown_revision_and_missing_registry(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("v1", photographs) == 2
    assert "no model registry given" in capsys.readouterr().err
    registry = make_registry(tmp_path)
    registry.commit("empty")
    assert check("v9", photographs, "--repository", str(registry.path)) == 2
    assert "v9" in capsys.readouterr().err


def test_what_a_local_folder_lacks_is_named(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name, message in (
        (None, "has no weights file that is the only one: name it with --path; there are none"),
        ("model.pt2.dvc", "there is model.pt2.dvc, so run `dvc pull`"),
        ("model.pt2", "there is no params.yaml next to"),
        ("other.pt", "there are model.pt2, other.pt"),
    ):
        if name:
            (folder / name).write_text("outs:")
        if name == "model.pt2":
            (folder / "model.pt2.dvc").unlink()
        assert check(folder, photographs) == 2
        assert message in capsys.readouterr().err


def test_params_of_a_folder_above_are_used_within_the_repository(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", state_bytes(tiny_unet()))
    (model / ".git").mkdir()
    (model / "deep").mkdir()
    shutil.move(model / "model.pt", model / "deep" / "model.pt")
    layout = RunLayout(GcsUri("staging"), GcsUri("output"), "run")
    ref = stage_local_model(FolderStore({"staging": tmp_path / "staging"}), layout, model / "deep" / "model.pt")
    assert ref.params == unet_params()
    assert (tmp_path / "staging" / GcsUri.parse(ref.uri).name).is_file()
    (model / "params.yaml").rename(tmp_path / "params.yaml")
    with pytest.raises(ModelParamsError, match=r"no params.yaml next to"):
        stage_local_model(FolderStore({}), layout, model / "deep")


def test_photographs_are_chosen_evenly(photographs: Path) -> None:
    found = find_photographs(photographs, 2)
    assert ([one.name for one in found.taken], found.found, found.not_taken) == (["a.png", "half <b>.jpg"], 4, 1)


def test_a_folder_without_photographs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, message in ((tmp_path / "none", "no such folder"), (tmp_path, "no files")):
        assert check("v1", folder) == 2
        assert message in capsys.readouterr().err


def test_without_pytorch_the_packages_are_named(
    photographs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    assert check("v1", photographs) == 2
    assert "torch is not installed" in (message := capsys.readouterr().err)
    assert "pip install torch==2.13.0 'numpy>=2'" in message
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert sorted(REQUIREMENTS) == sorted(project["optional-dependencies"]["engine"])
