"""Builds the example model registry: a real git repository under DVC with a remote and two tagged revisions."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from pathlib import Path

from cloudseg_ops.contracts.errors import LocalError

REVISIONS = ("v1", "v2")
_AUTHOR = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in {
        "NAME": "cloudseg example",
        "EMAIL": "example@cloudseg.invalid",
        # Fixed, so that the same weights produce the same commits on every machine.
        "DATE": "2026-01-01T00:00:00Z",
    }.items()
}
# The user's git configuration (signing, hooks, line endings) must not affect this repository.
_NO_CONFIGURATION = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def build_example_registry(weights: Path, registry: Path, remote: Path) -> None:
    """Build the registry if it does not exist yet.

    Args:
        weights: Folder with `v1.pt`, `params-v1.yaml` and so on.
        registry: Path of the git repository to create.
        remote: Path of the DVC remote to create.

    Raises:
        LocalError: git failed; the message contains its error output.
    """
    if registry.exists() and set(REVISIONS) <= set(_git(registry, "tag").split()):
        return
    # Discard what an interrupted build left; a rename publishes the finished repository in one step.
    draft = registry.with_name(f"{registry.name}.draft")
    for path in (draft, registry, remote):
        shutil.rmtree(path, ignore_errors=True)
    draft.mkdir(parents=True)
    remote.mkdir(parents=True)
    _git(draft, "init", "--quiet", "--initial-branch=main")
    _init_dvc(draft, remote)
    for revision in REVISIONS:
        shutil.copyfile(weights / f"{revision}.pt", draft / "model.pt")
        shutil.copyfile(weights / f"params-{revision}.yaml", draft / "params.yaml")
        _track(draft)
        _git(draft, "add", "--all")
        _git(draft, "commit", "--quiet", "--message", f"Example model {revision}")
        _git(draft, "tag", revision)
    draft.replace(registry)


def _init_dvc(registry: Path, remote: Path) -> None:
    from dvc.repo import Repo

    # Silence DVC's hints about the next command to type.
    logging.getLogger("dvc").setLevel(logging.WARNING)
    Repo.init(str(registry)).close()
    # A relative path, so that the commits do not depend on where the folder is.
    url = os.path.relpath(remote, registry / ".dvc")
    config = registry / ".dvc" / "config"
    config.write_text(f"[core]\n    remote = local\n    analytics = false\n['remote \"local\"']\n    url = {url}\n")


def _track(registry: Path) -> None:
    from dvc.repo import Repo

    with Repo(str(registry)) as repo:
        repo.add(str(registry / "model.pt"))
        repo.push()


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env={**os.environ, **_AUTHOR, **_NO_CONFIGURATION},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalError(f"git {' '.join(arguments)} in {folder} failed: {done.stderr.strip()}")
    return done.stdout
