"""Opens a git repository under DVC at what a run asked for, and translates the errors of git and DVC."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloudseg_ops.contracts.errors import (
    ModelPathError,
    RepositoryUnreachableError,
    UnknownRevisionError,
)
from cloudseg_ops.contracts.revisions import ModelAddress, parse_address
from cloudseg_ops.registry._artifacts import describe_names, find_commit
from cloudseg_ops.registry._names import clone_address, list_branches, without_credentials
from cloudseg_ops.registry._remote import RegistryOptions, hide_secrets
from cloudseg_ops.registry._revision import RegistryRevision

_PROJECTS_NAMED = 20


@contextlib.contextmanager
def open_revision(
    repository: str, revision: str, *, options: RegistryOptions | None = None, commit: str | None = None
) -> Iterator[RegistryRevision]:
    """Open what a run asked for, which is resolved to a commit once.

    A name that is both a revision and an artifact means the revision; `name@latest` means the artifact.

    Args:
        repository: Git URL, or path of a working copy or bare repository.
        revision: Artifact, version, stage, tag, branch or commit.
        options: How to read params and remote; None: as the registry says.
        commit: The commit that the revision was resolved to before; None: resolve it now.

    Raises:
        InvalidRevisionError: The name is not valid; git is not called.
        RepositoryUnreachableError: There is no readable git repository.
        UnknownRevisionError: The repository has no such revision, artifact, version or stage; or it was revoked.
        ModelPathError: It is a git repository, but not under DVC.
    """
    address = parse_address(revision)
    name = without_credentials(repository)
    with _private_caches() as private, contextlib.ExitStack() as stack:
        stack.callback(_remove_clones)
        if commit is None:
            commit, artifact = _resolve(repository, name, address)
        else:
            artifact = address if address.artifact else None
        repo = stack.enter_context(_open(repository, name, commit))
        opened = RegistryRevision(
            repo,
            repository=name,
            revision=revision,
            commit=commit,
            artifact=artifact,
            options=options or RegistryOptions(),
            private=private,
            local=_local_path(repository),
        )
        stack.callback(opened.close)
        _check_under_dvc(opened, name)
        yield opened


@contextlib.contextmanager
def open_repository(repository: str) -> Iterator[Any]:
    """Open a git repository with all of its tags, as `scmrepo.git.Git`.

    Args:
        repository: Git URL, or path of a working copy or bare repository.

    Raises:
        RepositoryUnreachableError: There is no readable git repository.
    """
    with _private_caches(), contextlib.ExitStack() as stack:
        stack.callback(_remove_clones)
        yield stack.enter_context(_open(repository, without_credentials(repository), None)).scm


def _resolve(repository: str, name: str, address: ModelAddress) -> tuple[str, ModelAddress | None]:
    """Return the commit, and the address if it is an artifact's."""
    untried = address.may_be_revision and not address.newest
    if untried and address.version is None:
        untried = False
        # Git's names first: DVC clones one tag or branch without history, but all of it to know GTO's tags.
        with contextlib.suppress(UnknownRevisionError):
            return _resolve_revision(repository, name, address.text), None
    with _open(repository, name, None) as repo:
        if address.artifact and (commit := find_commit(repo.scm, address, name)):
            return commit, address
        tags, exists = list(repo.scm.list_tags()), describe_names(repo.scm)
    if address.tag in tags or untried:
        with contextlib.suppress(UnknownRevisionError):
            return _resolve_revision(repository, name, address.tag if address.tag in tags else address.text), None
    raise UnknownRevisionError(
        f"{name} has no revision {address.text!r}{_and_no_artifact(address)}; {exists}. "
        "Use one that exists, or push the tag"
    )


def _and_no_artifact(address: ModelAddress) -> str:
    if address.artifact is None or address.may_be_revision:
        return ""
    return f", because no version of an artifact {address.artifact!r} is registered (`gto register`)"


def _resolve_revision(repository: str, name: str, revision: str) -> str:
    with _open(repository, name, revision) as repo:
        return str(repo.scm.resolve_commit(revision).hexsha)


@contextlib.contextmanager
def _open(repository: str, name: str, revision: str | None) -> Iterator[Any]:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    # Raised for an unknown revision (dvc/scm.py: `resolve_rev`); dvc.exceptions lacks it.
    from dvc.scm import RevError

    url = clone_address(repository)
    try:
        try:
            repo = Repo.open(url, rev=revision, uninitialized=True, subrepos=True)
        except RevError:
            if revision is not None or not (branches := list_branches(repository)):
                raise
            # The server's default branch does not exist: `git init --bare` may name another one than was pushed.
            repo = Repo.open(url, rev=f"refs/remotes/origin/{branches[0]}", uninitialized=True, subrepos=True)
    except RevError:
        raise UnknownRevisionError(f"{name} has no revision {revision!r}") from None
    except (DvcException, OSError) as error:
        detail = hide_secrets(_root_cause(error).replace(repository, name))
        raise RepositoryUnreachableError(
            f"{name} cannot be read as a git repository: {detail}; correct CLOUDSEG_MODEL_REPOSITORY, or check that "
            "this machine can reach and read it"
        ) from None
    with contextlib.closing(repo):
        if not hasattr(repo.scm, "resolve_commit"):
            raise RepositoryUnreachableError(
                f"{name} cannot be read as a git repository: it is a folder without .git; correct "
                "CLOUDSEG_MODEL_REPOSITORY, or check that this machine can reach and read it"
            )
        yield repo


def _root_cause(error: BaseException) -> str:
    """Return the message of the error that began a chain, which says more than "Failed to clone"."""
    told = str(error)
    while error.__cause__ is not None:
        error = error.__cause__
        told = str(error) or told
    return told


def _check_under_dvc(opened: RegistryRevision, name: str) -> None:
    if opened.project_folders(_PROJECTS_NAMED):
        return
    raise ModelPathError(
        f"{name} at {opened.revision!r} is a git repository, but not under DVC; run `dvc init` there, or correct "
        "CLOUDSEG_MODEL_REPOSITORY"
    )


def _local_path(repository: str) -> Path | None:
    path = Path(repository)
    return path.resolve() if clone_address(repository) == repository and path.is_dir() else None


def _remove_clones() -> None:
    # dvc.api keeps clones as long as the process lives, and has no call that removes them
    # (dvc/repo/open_repo.py: `CLONES`, `CACHE_DIRS`).
    from dvc.repo.open_repo import clean_repos

    clean_repos()


@contextlib.contextmanager
def _private_caches() -> Iterator[Path]:
    # DVC leaves clones and a site cache behind that processes share; here they are removed after each call.
    with tempfile.TemporaryDirectory(prefix="cloudseg-dvc-") as folder:
        before = {key: os.environ.get(key) for key in ("DVC_SITE_CACHE_DIR", "DVC_NO_ANALYTICS")}
        os.environ.update(DVC_SITE_CACHE_DIR=folder, DVC_NO_ANALYTICS="1")
        try:
            yield Path(folder)
        finally:
            for key, value in before.items():
                if value is None:
                    os.environ.pop(key, None)
                else:
                    os.environ[key] = value
