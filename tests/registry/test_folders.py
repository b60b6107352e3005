"""Weights in or next to folders, files of git's and of Git LFS: what a path may name, and what the message says."""

import shutil
from pathlib import Path

import pytest

from cloudseg_ops.contracts.errors import ModelObjectMissingError, ModelPathError
from cloudseg_ops.registry._repository import open_revision
from tests.registry.conftest import WEIGHTS_ONE, WEIGHTS_TWO, Registry, make_registry

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """`exported` is a folder under DVC, `runs` one of git's with a file under DVC, and lfs.pt is Git LFS's."""
    from dvc.repo import Repo

    registry = make_registry(tmp_path_factory.mktemp("folders"))
    folder = registry.path / "exported"
    folder.mkdir()
    (folder / "best.pt").write_bytes(WEIGHTS_ONE)
    (folder / "last.pt").write_bytes(WEIGHTS_TWO)
    with Repo(str(registry.path)) as repo:
        repo.add(str(folder))
    registry.track("runs/7/model.pt", WEIGHTS_ONE)
    (registry.path / "lfs.pt").write_text(POINTER)
    (registry.path / "dvc.yaml").write_text(
        "artifacts:\n  folder: {path: exported}\n  gone: {path: ../x.pt}\n  lfs: {path: lfs.pt}\n"
    )
    registry.commit("folders", "v1")
    for name in ("folder", "gone", "lfs"):
        registry.register(name, "v1.0.0")
    return registry


@pytest.mark.parametrize(
    ("asked", "path", "told"),
    [
        ("v1", "exported", r"'exported' in .* is a folder; weights must be one file"),
        ("folder", "", r"'exported' in .* at folder \(commit .* is a folder"),
        ("v1", "exported/first.pt", r"no 'exported/first.pt'; .*'exported' has: \['exported/best.pt', 'exported/last"),
        ("v1", "runs", r"is a folder; DVC tracks in it: \['runs/7/model.pt'\]"),
        ("v1", "lfs.pt", r"is a Git LFS pointer, in git and not under DVC; .*git rm --cached lfs.pt.*dvc add lfs.pt"),
        ("lfs", "", "is a Git LFS pointer"),
        ("gone", "", "the artifact 'gone' .* not in the repository; correct dvc.yaml"),
        ("v1", "model.pt", r"\['exported', 'runs/7/model.pt'\], and its artifacts are \['folder', 'gone', 'lfs'\]"),
    ],
)
def test_what_is_not_a_weights_file_is_named(registry: Registry, asked: str, path: str, told: str) -> None:
    with (
        open_revision(str(registry.path), asked) as opened,
        pytest.raises(ModelPathError, match=told),
    ):
        opened.find(opened.weights_path(path))


@pytest.mark.parametrize("url", [False, True])
def test_a_file_in_a_folder(registry: Registry, tmp_path: Path, url: bool) -> None:
    with open_revision(registry.path.as_uri() if url else str(registry.path), "v1") as opened:
        opened.download(opened.find("./exported/last.pt"), tmp_path / "weights")
    assert (tmp_path / "weights").read_bytes() == WEIGHTS_TWO


def test_a_folder_s_list_that_was_not_pushed(registry: Registry, tmp_path: Path) -> None:
    remote = tmp_path / "kept"
    shutil.move(registry.remote / "files", remote)
    try:
        with (
            open_revision(registry.path.as_uri(), "v1") as opened,
            pytest.raises(ModelObjectMissingError, match=r"the list of files of 'exported'.*dvc push"),
        ):
            opened.find("exported/best.pt")
    finally:
        shutil.move(remote, registry.remote / "files")
