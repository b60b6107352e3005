import io
import shutil
import tempfile
from pathlib import Path

import pytest

from cloudseg_ops.contracts.errors import (
    InvalidRevisionError,
    ModelObjectMissingError,
    ModelParamsError,
    ModelPathError,
    RepositoryUnreachableError,
    UnknownRevisionError,
)
from cloudseg_ops.contracts.model_section import complete_params
from cloudseg_ops.registry._repository import open_revision
from tests.registry.conftest import WEIGHTS_ONE, WEIGHTS_TWO, Opener, Registry


@pytest.mark.parametrize("revision", ["v1", "dev", "main", "v2"])
def test_any_kind_of_revision_is_resolved(registry: Registry, address: str, revision: str) -> None:
    expected = registry.git("rev-parse", f"{revision}^{{commit}}")
    with open_revision(address, revision) as opened:
        assert opened.commit == expected


def test_commit_is_resolved(registry: Registry, address: str) -> None:
    commit = registry.git("rev-parse", "v1^{commit}")
    with open_revision(address, commit) as opened:
        assert opened.commit == commit


def test_each_revision_has_its_weights(own_registry: Registry, form: Opener, tmp_path: Path) -> None:
    own_registry.forget_cache()
    for revision, content in [("v1", WEIGHTS_ONE), ("v2", WEIGHTS_TWO)]:
        with open_revision(form(own_registry), revision) as opened:
            opened.download(opened.find("model.pt"), tmp_path / revision)
        assert (tmp_path / revision).read_bytes() == content


def test_params_come_from_the_revision(address: str) -> None:
    with open_revision(address, "v1") as opened:
        assert opened.read_section().values["arguments"] == {"width": 2, "depth": 1}


def test_unknown_revision_names_the_tags(address: str) -> None:
    with (
        pytest.raises(UnknownRevisionError, match=r"no revision 'v9'; its tags are v2, v1\."),
        open_revision(address, "v9"),
    ):
        pass


@pytest.mark.parametrize("revision", ["--upload-pack=touch x", "-v1", "v1..v2", "", "a b", "x" * 201, "@{-1}"])
def test_revisions_outside_the_grammar_never_reach_git(registry: Registry, revision: str) -> None:
    with pytest.raises(InvalidRevisionError, match="cannot be a tag"), open_revision(str(registry.path), revision):
        pass


def test_unreachable_repository_raises() -> None:
    with (
        pytest.raises(RepositoryUnreachableError, match="CLOUDSEG_MODEL_REPOSITORY"),
        open_revision("/no/such/registry", "v1"),
    ):
        pass


def test_a_bare_repository_with_an_odd_path(registry: Registry, tmp_path: Path) -> None:
    bare = tmp_path / "größe a+b.git"
    registry.git("clone", "--quiet", "--bare", str(registry.path), str(bare))
    with open_revision(str(bare), "v1") as opened:
        assert opened.commit == registry.git("rev-parse", "v1")


def test_repository_without_dvc_raises(own_registry: Registry) -> None:
    shutil.rmtree(own_registry.path / ".dvc")
    own_registry.commit("no more DVC", "plain")
    with (
        pytest.raises(ModelPathError, match="not under DVC"),
        open_revision(own_registry.path.as_uri(), "plain"),
    ):
        pass


def test_wrong_path_names_the_tracked_files(address: str) -> None:
    with (
        open_revision(address, "v1") as opened,
        pytest.raises(ModelPathError, match=r"no 'weights\.pt'; DVC tracks there: \['model\.pt'\]"),
    ):
        opened.find("weights.pt")


def test_file_tracked_by_git_is_rejected(address: str) -> None:
    with open_revision(address, "v1") as opened, pytest.raises(ModelPathError, match=r"dvc add params\.yaml"):
        opened.find("params.yaml")


def test_folder_is_rejected(own_registry: Registry) -> None:
    (own_registry.path / "folder").mkdir()
    own_registry.track("folder/model.pt", b"x")
    own_registry.commit("folder", "v3")
    with open_revision(str(own_registry.path), "v3") as opened, pytest.raises(ModelPathError, match="a folder"):
        opened.find("folder")


def test_missing_object_in_the_remote_raises(own_registry: Registry, form: Opener, tmp_path: Path) -> None:
    own_registry.forget_cache()
    shutil.rmtree(own_registry.remote / "files")
    with open_revision(form(own_registry), "v1") as opened:
        file = opened.find("model.pt")
        with pytest.raises(ModelObjectMissingError, match=rf"md5 {file.md5}.*dvc push"):
            opened.download(file, tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "no such file"),
        ("train: {}\n", r"no `model` section, only \['train'\]"),
        ("model: 3\n", "not valid"),
        ("model: {architecture: vgg, in_channels: 3, n_classes: 1}\n", "architecture"),
        ("[1, 2\n", "not YAML"),
        ("- 1\n", "no `model` section"),
    ],
)
def test_invalid_params_are_rejected(own_registry: Registry, text: str | None, found: str) -> None:
    params = own_registry.path / "params.yaml"
    if text is None:
        params.unlink()
    else:
        params.write_text(text)
    own_registry.commit("params", "bad")
    with open_revision(str(own_registry.path), "bad") as opened, pytest.raises(ModelParamsError, match=found):
        complete_params(opened.read_section(), io.BytesIO(), "weights")


def test_nothing_is_left_in_the_temp_folder(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temp))
    with open_revision(registry.path.as_uri(), "v1") as opened:
        opened.find("model.pt")
    with pytest.raises(UnknownRevisionError), open_revision(registry.path.as_uri(), "v9"):
        pass
    assert list(temp.iterdir()) == []
