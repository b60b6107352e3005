"""The example registry from stand-in weights, with real git and DVC."""

import subprocess
from pathlib import Path

import pytest

from cloudseg_local.example_registry import REVISIONS, build_example_registry
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.registry._repository import open_revision


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for revision in REVISIONS:
        (folder / f"{revision}.pt").write_bytes(f"weights {revision}".encode())
        (folder / f"params-{revision}.yaml").write_text(
            f"model:\n  architecture: unet\n  in_channels: 3\n  n_classes: 1\n  arguments: {{width: {len(revision)}}}\n"
        )
    return folder


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, timeout=30
    ).stdout.strip()


def _commits(registry: Path) -> list[str]:
    return [_git(registry, "rev-parse", f"{revision}^{{commit}}") for revision in REVISIONS]


def _content(registry: Path, revision: str, target: Path) -> bytes:
    with open_revision(str(registry), revision) as opened:
        opened.download(opened.find("model.pt"), target)
    return target.read_bytes()


@pytest.fixture(scope="module")
def built(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built")
    build_example_registry(weights, root / "registry", root / "remote")
    return root


def test_each_of_two_tags_has_different_weights(built: Path, tmp_path: Path) -> None:
    assert _git(built / "registry", "tag").split() == list(REVISIONS)
    assert _git(built / "registry", "status", "--porcelain") == ""
    contents = [_content(built / "registry", revision, tmp_path / revision) for revision in REVISIONS]
    assert contents == [b"weights v1", b"weights v2"]
    assert not (built / "registry.draft").exists()


def test_second_build_changes_nothing(built: Path, weights: Path) -> None:
    before = _commits(built / "registry"), (built / "registry" / ".git").stat().st_ino
    build_example_registry(weights, built / "registry", built / "remote")
    assert before == (_commits(built / "registry"), (built / "registry" / ".git").stat().st_ino)


def test_same_weights_give_the_same_commits_elsewhere(built: Path, weights: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another folder" / "deep"
    build_example_registry(weights, elsewhere / "registry", elsewhere / "remote")
    assert _commits(elsewhere / "registry") == _commits(built / "registry")
    assert _content(elsewhere / "registry", "v2", tmp_path / "x") == b"weights v2"


def test_leftovers_of_a_killed_build_are_replaced(built: Path, weights: Path, tmp_path: Path) -> None:
    draft = tmp_path / "registry.draft"
    draft.mkdir()
    _git(draft, "init", "--quiet")
    (draft / "model.pt").write_bytes(b"half")
    (tmp_path / "remote" / "files").mkdir(parents=True)
    (tmp_path / "remote" / "files" / "half").write_bytes(b"half")
    build_example_registry(weights, tmp_path / "registry", tmp_path / "remote")
    assert _commits(tmp_path / "registry") == _commits(built / "registry")
    assert not draft.exists()
    assert not (tmp_path / "remote" / "files" / "half").exists()


def test_git_settings_of_the_user_have_no_effect(
    built: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users may sign commits and tags or run hooks, which would fail here or change the commits."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        "[commit]\n\tgpgSign = true\n[tag]\n\tgpgSign = true\n[gpg]\n\tprogram = false\n"
        f"[core]\n\thooksPath = {hooks}\n\tautocrlf = true\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    build_example_registry(weights, tmp_path / "registry", tmp_path / "remote")
    assert _commits(tmp_path / "registry") == _commits(built / "registry")


def test_missing_weights_leave_no_registry(tmp_path: Path) -> None:
    with pytest.raises((LocalError, FileNotFoundError)):
        build_example_registry(tmp_path / "nonesuch", tmp_path / "registry", tmp_path / "remote")
    assert not (tmp_path / "registry").exists()
