"""The names of a registry's revisions: what a person may be offered."""

from __future__ import annotations

import contextlib
import tempfile

from cloudseg_ops.contracts.errors import RepositoryUnreachableError
from cloudseg_ops.contracts.revisions import offer
from cloudseg_ops.registry._repository import without_credentials

_TAGS = "refs/tags/"
_BRANCHES = "refs/heads/"


def list_revisions(repository: str) -> list[str]:
    """The revisions of a registry that a person is offered: its newest tags, then branches.

    It asks for their names alone: nothing is cloned, for a run clones no more than the revision that it wants.

    Args:
        repository: Git URL, or path of a working copy or bare repository.

    Raises:
        RepositoryUnreachableError: There is no readable git repository.
    """
    from dvc.scm import Git

    try:
        with (
            tempfile.TemporaryDirectory(prefix="cloudseg-refs-") as folder,
            contextlib.closing(Git.init(folder)) as git,
        ):
            refs = list(git.iter_remote_refs(repository))
    except Exception as error:  # noqa: BLE001
        # Git's transports let through whatever the libraries under them raise, with the address as it was given.
        name = without_credentials(repository)
        told = str(error).replace(repository, name) or type(error).__name__
        raise RepositoryUnreachableError(f"the revisions of {name} cannot be listed: {told}") from None
    return offer(
        [ref.removeprefix(_TAGS) for ref in refs if ref.startswith(_TAGS)],
        [ref.removeprefix(_BRANCHES) for ref in refs if ref.startswith(_BRANCHES)],
    )
