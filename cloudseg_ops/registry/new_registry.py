"""Makes a model registry: a git repository under DVC with one model, which GTO registers and assigns to a stage."""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cloudseg_ops.contracts.errors import LocalError, RegistryError
from cloudseg_ops.registry._remote import RegistryOptions, describe_remote, hide_secrets, remote_error

VERSION = "v1.0.0"
STAGE = "prod"
_WEIGHTS = "model.pt"
_PARAMS = "params.yaml"
_REMOTE = "models"


@dataclass(frozen=True, slots=True)
class NewModel:
    """The first model of a registry.

    Attributes:
        artifact: Name of the artifact.
        weights: The weights file to copy.
        params: The params file to copy.
        remote: URL of the DVC remote, such as `gs://bucket/models`.
    """

    artifact: str
    weights: Path
    params: Path
    remote: str


def init_registry(folder: Path, model: NewModel, log: Callable[[str], None]) -> None:
    """Make a registry, or complete one that this function began: what is done already is left as it is.

    Args:
        folder: The working copy; a new or empty folder, or an empty git repository.
        model: Its first model.
        log: Receives a line for each step.

    Raises:
        LocalError: git failed, or the folder has another content.
        RegistryError: DVC cannot write to the remote.
    """
    import dvc.repo  # noqa: F401  (sets the level of its log)

    # Silence DVC's hints about the next command to type.
    logging.getLogger("dvc").setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    _check_folder(folder, model)
    if not (folder / ".git").exists():
        _git(folder, "init", "--quiet", "--initial-branch=main")
        log(f"git repository {folder}")
    _configure_dvc(folder, model.remote, log)
    _track(folder, model, log)
    _commit(folder, model, log)
    _register(folder, model, log)


def _check_folder(folder: Path, model: NewModel) -> None:
    """Refuse a folder with content that this command did not write."""
    present = [name for name in (_WEIGHTS, f"{_WEIGHTS}.dvc", _PARAMS, "dvc.yaml") if (folder / name).exists()]
    try:
        artifacts = (yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8")) or {}).get("artifacts", {})
    except FileNotFoundError:
        artifacts = {}
    if present and model.artifact not in artifacts:
        raise LocalError(
            f"{folder} has {', '.join(present)} already, but not the artifact {model.artifact!r} in dvc.yaml; name "
            "another folder, or add your model with `dvc add`, `dvc push` and `gto register`"
        )


def _configure_dvc(folder: Path, url: str, log: Callable[[str], None]) -> None:
    from dvc.repo import Repo

    if not (folder / ".dvc").is_dir():
        Repo.init(str(folder)).close()
        log("DVC project")
    with contextlib.closing(Repo(str(folder))) as repo, repo.config.edit("repo") as config:
        name = config["core"].get("remote")
        found = str(config["remote"].get(name, {}).get("url")) if name else None
        if found and found != url:
            raise LocalError(
                f"{folder} has the default DVC remote {name!r} ({hide_secrets(found)}), not {url}; use that URL, or "
                "name another folder"
            )
        if not found:
            config["core"]["remote"] = _REMOTE
            config["remote"][_REMOTE] = {"url": url}
            log(f"DVC remote {url}")


def _track(folder: Path, model: NewModel, log: Callable[[str], None]) -> None:
    from dvc.repo import Repo

    with contextlib.closing(Repo(str(folder))) as repo:
        if not (folder / f"{_WEIGHTS}.dvc").exists():
            shutil.copyfile(model.weights, folder / _WEIGHTS)
            shutil.copyfile(model.params, folder / _PARAMS)
            document = {"artifacts": {model.artifact: {"path": _WEIGHTS, "type": "model"}}}
            (folder / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
            repo.add(str(folder / _WEIGHTS))
            log(f"weights {model.weights} as {_WEIGHTS}, parameters {model.params} as {_PARAMS}")
        _push(folder, repo, log)


def _push(folder: Path, repo: Any, log: Callable[[str], None]) -> None:
    remote = describe_remote(repo.config, None)
    try:
        pushed = repo.push()
    except Exception as error:  # noqa: BLE001  (the clients of the remotes raise errors of the libraries below them)
        raise remote_error(
            error, f"the weights in {folder}", remote, config=repo.config, options=RegistryOptions()
        ) from None
    log(f"{pushed} new objects in {remote}" if pushed else f"weights are in {remote}")


def _commit(folder: Path, model: NewModel, log: Callable[[str], None]) -> None:
    names = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", f"{_WEIGHTS}.dvc", _PARAMS, "dvc.yaml")
    _git(folder, "add", "--", *(name for name in names if (folder / name).exists()))
    if not _git(folder, "diff", "--cached", "--name-only"):
        return
    _git(folder, "commit", "--quiet", "--message", f"Model {model.artifact} {VERSION}")
    log(f"commit {_git(folder, 'rev-parse', '--short=12', 'HEAD')}")


def _register(folder: Path, model: NewModel, log: Callable[[str], None]) -> None:
    from gto.api import assign, register
    from gto.exceptions import GTOException

    tags = _git(folder, "tag", "--list", f"{model.artifact}[@#]*").split()
    try:
        if f"{model.artifact}@{VERSION}" not in tags:
            register(str(folder), model.artifact, "HEAD", version=VERSION, stdout=False)
            log(f"version {model.artifact}@{VERSION}")
        if not any(tag.startswith(f"{model.artifact}#{STAGE}") for tag in tags):
            assign(str(folder), model.artifact, STAGE, version=VERSION, stdout=False)
            log(f"stage {model.artifact}#{STAGE}")
    except GTOException as error:
        raise RegistryError(f"GTO could not register {model.artifact} in {folder}: {error}") from None


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise LocalError("`git` is not installed; install it, then run this command again") from None
    if done.returncode:
        raise LocalError(f"git {arguments[0]} in {folder} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()
