"""Reads one revision of a git repository under DVC with `dvc.api.DVCFileSystem`, and translates DVC's errors."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudseg_ops.contracts.errors import (
    ModelObjectMissingError,
    ModelParamsError,
    ModelPathError,
    RegistryError,
    RepositoryUnreachableError,
    UnknownRevisionError,
)
from cloudseg_ops.contracts.model_section import ModelSection, parse_section
from cloudseg_ops.contracts.revisions import check_revision
from cloudseg_ops.registry._names import clone_address, describe_tags, without_credentials

PARAMS_FILE = "params.yaml"


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """A file under DVC at one revision.

    Attributes:
        path: Path in the repository.
        md5: MD5 of the bytes, in hex, as DVC recorded it.
        size: Number of bytes, as DVC recorded it; None if it did not.
    """

    path: str
    md5: str
    size: int | None


class RegistryRevision:
    """One revision of a registry, open for reading: see `open_revision`."""

    def __init__(self, files: Any, *, repository: str, revision: str, commit: str) -> None:
        """Wrap an open `dvc.api.DVCFileSystem`."""
        self._files = files
        self._where = f"{repository} at {revision} (commit {commit[:12]})"
        self.repository = repository
        self.revision = revision
        self.commit = commit

    @property
    def git_folder(self) -> str:
        """The folder of the working copy or clone, with its tags."""
        return str(self._files.repo.scm.root_dir)

    def read_section(self) -> ModelSection:
        """Read the `model` section of params.yaml.

        Raises:
            ModelParamsError: The file or the section is missing, or it is not YAML.
        """
        where = f"{PARAMS_FILE} of {self._where}"
        try:
            return parse_section(self._files.read_text(f"/{PARAMS_FILE}"), where)
        except FileNotFoundError:
            raise ModelParamsError(
                f"{where}: there is no such file; commit one with a `model` section next to the weights"
            ) from None
        except UnicodeDecodeError as error:
            raise ModelParamsError(f"{where}: this is not YAML: {error}") from None

    def find(self, path: str) -> TrackedFile:
        """Look up a file that DVC tracks.

        Raises:
            ModelPathError: The revision has no such file, or it is a folder, or not under DVC.
        """
        try:
            info = self._files.info(f"/{path}")
        except FileNotFoundError:
            raise ModelPathError(
                f"{self._where} has no {path!r}; DVC tracks there: {self._outputs() or 'nothing'}. "
                "Set CLOUDSEG_MODEL_PATH to the weights file, or use another revision"
            ) from None
        md5 = (info.get("dvc_info") or {}).get("md5")
        if info["type"] != "file" or not md5:
            found = "a folder" if info["type"] != "file" else "a file that git tracks, not DVC"
            raise ModelPathError(
                f"{path!r} in {self._where} is {found}; weights must be one file under DVC: `dvc add {path}`"
            )
        return TrackedFile(path, md5, info.get("size"))

    def download(self, file: TrackedFile, target: Path) -> None:
        """Download a file from the registry's cache or remote, without verifying its MD5.

        Raises:
            ModelObjectMissingError: The remote does not have the file.
            RegistryError: The remote cannot be read.
        """
        from dvc.exceptions import DvcException

        try:
            self._files.get_file(f"/{file.path}", str(target))
        except FileNotFoundError:
            raise ModelObjectMissingError(
                f"{file.path!r} (md5 {file.md5}) of {self._where} is not in {self._remote()}; "
                "run `dvc push` where it was tagged"
            ) from None
        except (DvcException, OSError) as error:
            raise RegistryError(
                f"{file.path!r} of {self._where} could not be read from {self._remote()}: {error}; "
                "check that this machine's identity can read the remote, then clear the task"
            ) from error

    def _outputs(self) -> list[str]:
        # Not `find(dvc_only=True)`, which also lists the files of folders and reads the remote to do so.
        return sorted(out.def_path or str(out) for out in self._files.repo.index.outs)

    def _remote(self) -> str:
        config = self._files.repo.config
        name = config["core"].get("remote")
        url = config["remote"].get(name, {}).get("url")
        return f"the remote {name!r} ({url})" if name else "the cache (the registry has no default remote)"


@contextlib.contextmanager
def open_revision(repository: str, revision: str) -> Iterator[RegistryRevision]:
    """Open one revision of a registry, which is resolved to a commit once.

    Args:
        repository: Git URL, or path of a working copy or bare repository.
        revision: Tag, branch or commit.

    Raises:
        InvalidRevisionError: The name is not a valid revision; git is not called.
        RepositoryUnreachableError: There is no readable git repository.
        UnknownRevisionError: The repository has no such tag, branch or commit.
        ModelPathError: It is a git repository, but not under DVC.
    """
    check_revision(revision)
    name = without_credentials(repository)
    with _private_caches(), contextlib.ExitStack() as stack:
        from dvc.api import DVCFileSystem
        from dvc.exceptions import DvcException

        # dvc.api raises it for an unknown revision (dvc/scm.py: `resolve_rev`); dvc.exceptions lacks it.
        from dvc.scm import RevError

        stack.callback(_remove_clones)
        files = stack.enter_context(contextlib.closing(DVCFileSystem(clone_address(repository), rev=revision)))
        try:
            # The file system clones the repository at the first access.
            repo = files.repo
            commit = str(repo.scm.resolve_commit(revision).hexsha)
        except RevError:
            raise UnknownRevisionError(
                f"{name} has no revision {revision!r}; {describe_tags(repository)}. "
                "Use one that exists, or push the tag"
            ) from None
        except DvcException as error:
            raise RepositoryUnreachableError(
                f"{name} cannot be read as a git repository: {error.__cause__ or error}; correct "
                "CLOUDSEG_MODEL_REPOSITORY, or check that this machine can reach and read it"
            ) from error
        # DVCFileSystem opens any git repository (dvc/fs/dvc.py: `Repo.open(uninitialized=True, …)`).
        if repo.dvc_dir is None:
            raise ModelPathError(
                f"{name} at {revision!r} is a git repository, but not under DVC; run `dvc init` there, or correct "
                "CLOUDSEG_MODEL_REPOSITORY"
            )
        yield RegistryRevision(files, repository=name, revision=revision, commit=commit)


def _remove_clones() -> None:
    # dvc.api keeps clones as long as the process lives, and has no call that removes them
    # (dvc/repo/open_repo.py: `CLONES`, `CACHE_DIRS`).
    from dvc.repo.open_repo import clean_repos

    clean_repos()


@contextlib.contextmanager
def _private_caches() -> Iterator[None]:
    # DVC leaves clones and a site cache behind that processes share; here they are removed after each call.
    with tempfile.TemporaryDirectory(prefix="cloudseg-dvc-") as folder:
        before = {key: os.environ.get(key) for key in ("DVC_SITE_CACHE_DIR", "DVC_NO_ANALYTICS")}
        os.environ.update(DVC_SITE_CACHE_DIR=folder, DVC_NO_ANALYTICS="1")
        try:
            yield
        finally:
            for key, value in before.items():
                if value is None:
                    os.environ.pop(key, None)
                else:
                    os.environ[key] = value
