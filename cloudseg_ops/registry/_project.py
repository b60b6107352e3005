"""Reads one DVC project of a git repository at one commit."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudseg_ops.contracts.errors import ModelObjectMissingError, ModelPathError
from cloudseg_ops.registry._remote import (
    RegistryOptions,
    configure_remote,
    describe_remote,
    remote_error,
)

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# The second is of DVC 2, whose files have no `hash:` line. It differs from MD5 for text only: line ends count as \n.
_HASHES = ("md5", "md5-dos2unix")


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """A file under DVC at one revision.

    Attributes:
        path: Path in the git repository.
        md5: MD5 of the bytes, in hex, as DVC recorded it.
        size: Number of bytes, as DVC recorded it; None if it did not.
    """

    path: str
    md5: str
    size: int | None


class Project:
    """A DVC project: the folder with `.dvc`, and what is below it.

    Args:
        repo: The project at a commit, as `dvc.repo.Repo` on a git file system, whose root is the repository's.
        folder: The project's folder in the git repository; empty: its root.
        where: Repository, revision and commit, for messages.
        options: How to read the registry.
        private: A private folder for credentials.
    """

    def __init__(self, repo: Any, folder: str, *, where: str, options: RegistryOptions, private: Path) -> None:
        self.repo = repo
        self.folder = folder
        self._where = where
        self._options = options
        self._private = private

    def read_text(self, path: str) -> str:
        """Return a text file of git's.

        Raises:
            FileNotFoundError: There is no such file.
            UnicodeDecodeError: It is not UTF-8.
        """
        with self.repo.fs.open(f"/{path}", "rb") as file:
            return bytes(file.read()).decode("utf-8")

    def artifacts(self) -> dict[str, Any]:
        """Return the artifacts of the project's dvc.yaml files: by dvc's name, `dvc.annotations.Artifact`."""
        found = {}
        for file, artifacts in self.repo.artifacts.read().items():
            folder = posixpath.dirname(posixpath.join(self.folder, file))
            found.update({f"{folder}:{name}" if folder else name: artifact for name, artifact in artifacts.items()})
        return found

    def outputs(self) -> list[str]:
        """Return the paths in the git repository that DVC tracks, without the files in folders."""
        # Not a walk of the file system, which reads the remote for the files of folders.
        return sorted(out.fs_path.removeprefix("/") for out in self._outputs())

    def find(self, path: str) -> TrackedFile:
        """Look up a file that DVC tracks.

        Args:
            path: Path in the git repository.

        Raises:
            ModelPathError: The revision has no such file, or it is a folder, or not under DVC.
            RegistryError: It is in a folder whose list cannot be read from the remote.
        """
        out = self._output(path)
        if out is None or not out.use_cache:
            raise self._not_tracked(path)
        info = self._info(path, out)
        if info["type"] != "file":
            raise ModelPathError(
                f"{path!r} in {self._where} is a folder; weights must be one file under DVC: name a file in it, as "
                f"{posixpath.join(path, 'model.pt')}, or `dvc add {path}/FILE`"
            )
        md5 = next((info[name] for name in _HASHES if info.get(name)), None)
        if md5 is None:
            raise ModelPathError(
                f"{path!r} in {self._where} has no md5 in its .dvc file or dvc.lock; `dvc commit` and `dvc push` it, "
                "then tag the new commit"
            )
        return TrackedFile(path, md5, info.get("size"))

    def download(self, file: TrackedFile, target: Path) -> None:
        """Download a file from the project's cache or remote, without verifying its MD5.

        Raises:
            ModelObjectMissingError: The remote does not have the file.
            RegistryError: The remote cannot be read.
        """
        out = self._output(file.path)
        with self._data(out, f"{file.path!r} of {self._where}", f"{file.path!r} (md5 {file.md5})", file.md5) as data:
            data.get_file(self._key(file.path), str(target))

    def _info(self, path: str, out: Any) -> dict[str, Any]:
        listed, md5 = f"the list of files of {_tracked(out)!r}", str(out.hash_info.value)
        with self._data(out, f"{path!r} of {self._where}", listed, md5) as data:
            try:
                return dict(data.info(self._key(path)))
            except FileNotFoundError:
                if out.fs_path == f"/{path}":
                    raise
        inside = sorted(posixpath.join(_tracked(out), *key) for key in self._inside(out))
        raise ModelPathError(f"{self._where} has no {path!r}; the folder {_tracked(out)!r} has: {inside[:20]}")

    def _inside(self, out: Any) -> list[tuple[str, ...]]:
        from dvc_data.hashfile.tree import Tree

        tree = out.get_obj()
        return [key for key, _, _ in tree] if isinstance(tree, Tree) else []

    @contextlib.contextmanager
    def _data(self, out: Any, what: str, missing: str, md5: str) -> Iterator[Any]:
        """Open the data of one output: not of all, because each would need its remote's package and settings."""
        from dvc.repo.index import Index
        from dvc_data.fs import DataFileSystem
        from dvc_data.index import DataIndexDirError

        config = self.repo.config
        try:
            configure_remote(config, out.remote, self._options, self._private)
            yield DataFileSystem(index=Index(self.repo, stages=[out.stage]).data["repo"])
        except (FileNotFoundError, DataIndexDirError):
            remote = describe_remote(config, out.remote)
            if reason := self._refusal(out, md5):
                raise remote_error(reason, what, remote, config=config, options=self._options) from None
            raise ModelObjectMissingError(
                f"{missing} of {self._where} is not in {remote}; {_version_hint(config, out)}run `dvc push` where it "
                "was tagged"
            ) from None
        except Exception as error:  # noqa: BLE001
            # The remotes' clients raise errors of the libraries below them, with addresses and credentials in them.
            remote = describe_remote(config, out.remote)
            raise remote_error(error, what, remote, config=config, options=self._options) from None

    def _refusal(self, out: Any, md5: str) -> Exception | None:
        """Return why a remote does not return an object that it seems not to have: DVC takes a 401 for a 404."""
        if not (out.remote or self.repo.config["core"].get("remote")):
            return None
        try:
            remote = self.repo.cloud.get_remote(out.remote)
            objects = remote.odb if out.hash_name == "md5" else remote.legacy_odb
            if not remote.fs.version_aware:
                objects.fs.fs.cat_file(objects.oid_to_path(md5), start=0, end=1)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001  (as in `_data`)
            return error
        return None

    def _key(self, path: str) -> str:
        return "/" + posixpath.relpath(f"/{path}", f"/{self.folder}")

    def _outputs(self) -> list[Any]:
        return [out for out in self.repo.index.outs if out.is_in_repo]

    def _output(self, path: str) -> Any:
        fs_path = f"/{path}"
        return next(
            (out for out in self._outputs() if fs_path == out.fs_path or fs_path.startswith(f"{out.fs_path}/")), None
        )

    def _not_tracked(self, path: str) -> ModelPathError:
        fs = self.repo.fs
        if not fs.exists(f"/{path}"):
            artifacts = f", and its artifacts are {sorted(self.artifacts())}" if self.artifacts() else ""
            return ModelPathError(
                f"{self._where} has no {path!r}; DVC tracks there: {self.outputs() or 'nothing'}{artifacts}. "
                "Set CLOUDSEG_MODEL_PATH to the weights file, or use another revision"
            )
        if fs.isdir(f"/{path}"):
            inside = [out for out in self.outputs() if out.startswith(f"{path}/")]
            told = f"; DVC tracks in it: {inside}" if inside else ""
            return ModelPathError(
                f"{path!r} in {self._where} is a folder{told}; weights must be one file under DVC: "
                f"`dvc add {path}/FILE`"
            )
        with fs.open(f"/{path}", "rb", raw=True) as file:
            pointer = file.read(len(_LFS_POINTER)) == _LFS_POINTER
        found = "a Git LFS pointer, in git and not under DVC" if pointer else "a file that git tracks, not DVC"
        first = f"`git rm --cached {path}`, then " if pointer else ""
        return ModelPathError(
            f"{path!r} in {self._where} is {found}; weights must be one file under DVC: {first}`dvc add {path}`"
        )


def _version_hint(config: Any, out: Any) -> str:
    remote = config["remote"].get((out.remote or config["core"].get("remote") or "").lower(), {})
    if not out.meta.version_id or remote.get("version_aware") or remote.get("worktree"):
        return ""
    return "it was pushed to a version-aware remote: set CLOUDSEG_MODEL_REMOTE_OPTIONS=version_aware=true, or "


def _tracked(out: Any) -> str:
    return str(out.fs_path.removeprefix("/"))
