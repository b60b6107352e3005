"""One revision of a registry: its DVC projects, its artifacts, the weights file and the model's section."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloudseg_ops.contracts.errors import ModelParamsError, ModelPathError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.contracts.model_section import ModelSection, check_section, has_section, parse_section
from cloudseg_ops.contracts.revisions import ModelAddress
from cloudseg_ops.registry._project import Project, TrackedFile
from cloudseg_ops.registry._remote import RegistryOptions

PARAMS_FILE = "params.yaml"
SECTION = "model"


class RegistryRevision:
    """One revision of a registry, open for reading: see `open_revision`.

    Attributes:
        repository: The registry's URL or path, without credentials.
        revision: What was asked for.
        commit: The commit, 40 hex digits.
        artifact: The artifact that was asked for; None: a tag, a branch or a commit.
    """

    def __init__(
        self,
        repo: Any,
        *,
        repository: str,
        revision: str,
        commit: str,
        artifact: ModelAddress | None,
        options: RegistryOptions,
        private: Path,
        local: Path | None,
    ) -> None:
        """Wrap an open `dvc.repo.Repo` on the git repository's root at the commit."""
        self._repo = repo
        self._options = options
        self._private = private
        self._local = local
        self._projects: dict[str, Project] = {}
        self._stack = contextlib.ExitStack()
        self._where = f"{repository} at {revision} (commit {commit[:12]})"
        self.repository = repository
        self.revision = revision
        self.commit = commit
        self.artifact = artifact

    def close(self) -> None:
        """Close what was opened."""
        self._stack.close()

    @property
    def git_folder(self) -> str:
        """The folder of the working copy or clone, with its tags."""
        return str(self._repo.scm.root_dir)

    @property
    def asked(self) -> str:
        """What was asked for, in GTO's form if it is an artifact."""
        return self.artifact.canonical if self.artifact else self.revision

    def describe(self, file: TrackedFile) -> str:
        """Return what a file is and where, for messages."""
        return f"{file.path!r} of {self._where}"

    def project_folders(self, limit: int) -> list[str]:
        """Return the folders of DVC projects; only the root if that is one."""
        fs = self._repo.fs
        if fs.isdir("/.dvc"):
            return [""]
        found: list[str] = []
        for root, folders, _ in fs.walk("/"):
            if ".dvc" in folders:
                found.append(root.strip("/"))
            if len(found) == limit:
                break
        return sorted(found)

    def weights_path(self, default: str) -> str:
        """Return the path of the weights file: the artifact's if its dvc.yaml has one, else the default.

        Raises:
            ModelPathError: The artifact's path is not inside the repository.
        """
        artifact = self._artifact()
        if artifact is None or not artifact.path:
            return posixpath.normpath(default)
        path = posixpath.normpath(posixpath.join(self.artifact.folder if self.artifact else "", artifact.path))
        if path.startswith(("..", "/")):
            raise ModelPathError(
                f"the artifact {self._name()!r} in {self._where} has the path {artifact.path!r}, which is not in the "
                "repository; correct dvc.yaml, and register a new version"
            )
        return path

    def path_origin(self) -> str:
        """Return what says the path of the weights file: an artifact's entry in dvc.yaml, or the caller's default."""
        artifact = self._artifact()
        if artifact is None or not artifact.path:
            return "CLOUDSEG_MODEL_PATH"
        return f"the artifact {self._name()!r} in dvc.yaml"

    def find(self, path: str) -> TrackedFile:
        """Look up a file that DVC tracks.

        Raises:
            ModelPathError: The revision has no such file, or it is a folder, or not under DVC.
            RegistryError: It is in a folder whose list cannot be read from the remote.
        """
        return self._project_of(path).find(posixpath.normpath(path))

    def download(self, file: TrackedFile, target: Path) -> None:
        """Download a file from the registry's cache or remote, without verifying its MD5.

        Raises:
            ModelObjectMissingError: The remote does not have the file.
            RegistryError: The remote cannot be read.
        """
        self._project_of(file.path).download(file, target)

    def read_section(self, path: str = "") -> ModelSection:
        """Read the model's section: of the artifact's `meta`, or of the params file nearest to the weights.

        The file is looked up in the folder of the artifact's dvc.yaml, or of the weights file, and in those above it
        up to the root of the DVC project. The first that has the section counts.

        Args:
            path: Path of the weights file in the repository.

        Raises:
            ModelParamsError: The file or the section is missing, or it is not YAML.
        """
        artifact = self._artifact()
        if not self._options.params and artifact is not None and (section := self._meta(artifact)):
            return section
        file, _, name = (self._options.params or PARAMS_FILE).partition(":")
        name = name or SECTION
        first: ModelParamsError | None = None
        for candidate in self._candidates(file, path):
            where = f"{candidate} of {self._where}"
            try:
                text = self._project_of(candidate).read_text(candidate)
            except FileNotFoundError:
                continue
            except UnicodeDecodeError as error:
                raise ModelParamsError(f"{where}: this is not YAML: {error}") from None
            try:
                return parse_section(text, where, name=name)
            except ModelParamsError as error:
                if has_section(text, name):
                    raise
                first = first or error
        raise first or ModelParamsError(
            f"{file} of {self._where}: there is no such file; commit one with a `{name}` section next to the weights, "
            "or set CLOUDSEG_MODEL_PARAMS to another file and section"
        )

    def _candidates(self, file: str, path: str) -> Iterator[str]:
        folder = self.artifact.folder if self._artifact() and self.artifact else posixpath.dirname(path)
        root = self._project_of(path or file).folder
        while True:
            yield posixpath.normpath(posixpath.join(folder, file))
            if folder in (root, ""):
                return
            folder = posixpath.dirname(folder)

    def _meta(self, artifact: Any) -> ModelSection | None:
        meta = artifact.meta or {}
        values = meta[SECTION] if isinstance(meta.get(SECTION), dict) else meta
        if values is meta and not meta.keys() & ModelParams.model_fields.keys():
            return None
        section = ModelSection(values, f"the artifact {self._name()!r} in dvc.yaml of {self._where}")
        check_section(section)
        return section

    def _name(self) -> str:
        return str(self.artifact.artifact) if self.artifact else ""

    def _artifact(self) -> Any:
        """Return the artifact's entry in dvc.yaml; None if it has none, as GTO allows."""
        if self.artifact is None:
            return None
        return self._project_of(posixpath.join(self.artifact.folder, "dvc.yaml")).artifacts().get(self._name())

    def _project_of(self, path: str) -> Project:
        """Return the project that a path belongs to: of the nearest folder above it that has `.dvc`."""
        folder = posixpath.dirname(posixpath.normpath(path))
        while folder and not self._repo.fs.isdir(f"/{folder}/.dvc"):
            folder = posixpath.dirname(folder)
        if not folder and not self._repo.fs.isdir("/.dvc"):
            others = self.project_folders(20)
            raise ModelPathError(
                f"{path!r} in {self._where} is not in a DVC project; the repository has: {', '.join(others)}. Set "
                f"CLOUDSEG_MODEL_PATH to the path from the root, as {others[0]}/model.pt, or ask for an artifact as "
                f"{others[0]}:NAME"
            )
        if folder not in self._projects:
            self._projects[folder] = Project(
                self._open(folder), folder, where=self._where, options=self._options, private=self._private
            )
        return self._projects[folder]

    def _open(self, folder: str) -> Any:
        from dvc.repo import Repo

        config: dict[str, Any] = {}
        if self._repo.url and (cache := self._repo.config["cache"].get("dir")):
            config["cache"] = {"dir": cache}
        if self._local is not None:
            config |= _local_remotes(self._local / folder, cloned=bool(self._repo.url))
        # Not DVC's own way to subprojects, which ignores the options of remotes (dvc/fs/dvc.py: `_update`).
        repo = Repo(f"/{folder}", fs=self._repo.fs, scm=self._repo.scm, config=config)
        return self._stack.enter_context(contextlib.closing(repo))


def _local_remotes(folder: Path, *, cloned: bool) -> dict[str, Any]:
    """Return the remotes of a working copy, whose paths are relative to it; its cache is one if it has no default."""
    if not (folder / ".dvc").is_dir():
        return {}
    from dvc.repo import Repo

    with contextlib.closing(Repo(str(folder))) as repo:
        remotes = {name: dict(remote) for name, remote in repo.config["remote"].items()}
        if repo.config["core"].get("remote") or not cloned:
            return {"remote": remotes}
        return {
            "core": {"remote": "working-copy"},
            "remote": {**remotes, "working-copy": {"url": repo.cache.local_cache_dir}},
        }
