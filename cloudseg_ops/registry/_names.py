"""The address of a registry, and the references of its git repository."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from cloudseg_ops.contracts.errors import RepositoryUnreachableError
from cloudseg_ops.registry._remote import hide_secrets

_BRANCHES = "refs/heads/"


def without_credentials(repository: str) -> str:
    """Return a repository's address without user and password, so that it can be shown.

    >>> without_credentials("https://user:token@git.example/models.git")
    'https://git.example/models.git'
    """
    parts = urlsplit(repository)
    user, at, host = parts.netloc.rpartition("@")
    if not (parts.scheme and at):
        return repository
    # The user in an ssh address is not a secret, and git needs it.
    kept = "" if parts.scheme in ("http", "https") else user.partition(":")[0] + at
    return urlunsplit(parts._replace(netloc=kept + host))


def clone_address(repository: str) -> str:
    """Return a repository's address in the form that DVC accepts.

    DVC opens a path in place, which requires a working copy; as a file:// URL, a bare repository is cloned.
    """
    path = Path(repository)
    return f"file://{path.resolve()}" if (path / "HEAD").is_file() and (path / "objects").is_dir() else repository


def list_refs(repository: str) -> list[str]:
    """Return the references of a git repository, such as `refs/tags/v1`; nothing is cloned.

    Raises:
        RepositoryUnreachableError: There is no readable git repository.
    """
    # dvc.api.all_tags clones the registry (dvc/api/scm.py: `Repo.open`); this only fetches the references.
    from dvc.scm import Git

    try:
        with (
            tempfile.TemporaryDirectory(prefix="cloudseg-refs-") as folder,
            contextlib.closing(Git.init(folder)) as git,
        ):
            return list(git.iter_remote_refs(repository))
    except Exception as error:  # noqa: BLE001
        # Git's transports pass on any exception of the libraries below them, with credentials in the address.
        name = without_credentials(repository)
        detail = hide_secrets(str(error).replace(repository, name)) or type(error).__name__
        raise RepositoryUnreachableError(f"the revisions of {name} cannot be listed: {detail}") from None


def branches_of(refs: list[str]) -> list[str]:
    """Return the names of the branches among references."""
    return [ref.removeprefix(_BRANCHES) for ref in refs if ref.startswith(_BRANCHES)]


def list_branches(repository: str) -> list[str]:
    """Return the branches of a git repository; nothing is cloned.

    Raises:
        RepositoryUnreachableError: There is no readable git repository.
    """
    return branches_of(list_refs(repository))
