"""The address of a registry, and the names of its revisions."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from cloudseg_ops.contracts.errors import RepositoryUnreachableError
from cloudseg_ops.contracts.revisions import newest_first, offer

_TAGS = "refs/tags/"
_BRANCHES = "refs/heads/"
_TAGS_NAMED = 20


def list_revisions(repository: str) -> list[str]:
    """Return the revisions of a registry to offer in a form: its newest tags, then branches.

    Only names are fetched; nothing is cloned.

    Args:
        repository: Git URL, or path of a working copy or bare repository.

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
            refs = list(git.iter_remote_refs(repository))
    except Exception as error:  # noqa: BLE001
        # Git's transports pass on any exception of the libraries below them, with credentials in the address.
        name = without_credentials(repository)
        detail = str(error).replace(repository, name) or type(error).__name__
        raise RepositoryUnreachableError(f"the revisions of {name} cannot be listed: {detail}") from None
    return offer(
        [ref.removeprefix(_TAGS) for ref in refs if ref.startswith(_TAGS)],
        [ref.removeprefix(_BRANCHES) for ref in refs if ref.startswith(_BRANCHES)],
    )


def list_tags(repository: str) -> list[str]:
    """Return the registry's tags, newest version first where they contain version numbers.

    Raises:
        RepositoryUnreachableError: There is no readable git repository.
    """
    # dvc.api.all_tags rejects a git repository that is not under DVC (dvc/api/scm.py: `Repo.open(repo)`).
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    try:
        with contextlib.closing(DVCFileSystem(clone_address(repository))) as files:
            return newest_first(files.repo.scm.list_tags())
    except DvcException as error:
        raise RepositoryUnreachableError(f"{without_credentials(repository)} cannot be read: {error}") from error


def describe_tags(repository: str) -> str:
    """Describe a registry's newest tags in a clause, for the message about an unknown revision."""
    try:
        tags = list_tags(repository)
    except RepositoryUnreachableError:
        return "its tags could not be read"
    if not tags:
        return "it has no tags"
    more = f" and {len(tags) - _TAGS_NAMED} more" if len(tags) > _TAGS_NAMED else ""
    return f"its tags are {', '.join(tags[:_TAGS_NAMED])}{more}"


def without_credentials(repository: str) -> str:
    """Return a repository's address without user and password, so that it can be shown.

    >>> without_credentials("https://user:token@git.example/models.git")
    'https://git.example/models.git'
    """
    parts = urlsplit(repository)
    if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
        return repository
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def clone_address(repository: str) -> str:
    """Return a repository's address in the form that DVC accepts.

    DVC opens a path in place, which requires a working copy; as a file:// URL, a bare repository is cloned.
    """
    path = Path(repository)
    return path.resolve().as_uri() if (path / "HEAD").is_file() and (path / "objects").is_dir() else repository
