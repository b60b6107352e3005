"""What a registry has to offer: stages and versions of artifacts, tags and branches."""

from __future__ import annotations

from cloudseg_ops.contracts.revisions import offer
from cloudseg_ops.registry._artifacts import has_artifacts, list_names
from cloudseg_ops.registry._names import branches_of, list_refs
from cloudseg_ops.registry._repository import open_repository

_TAGS = "refs/tags/"


def list_revisions(repository: str) -> list[str]:
    """Return what to offer of a registry in a form: stages and versions of artifacts, its newest tags, then branches.

    Only names are fetched; a registry that has GTO's tags is cloned, because their dates say which of them count.

    Args:
        repository: Git URL, or path of a working copy or bare repository.

    Raises:
        RepositoryUnreachableError: There is no readable git repository.
    """
    refs = list_refs(repository)
    branches = branches_of(refs)
    tags = [ref.removeprefix(_TAGS) for ref in refs if ref.startswith(_TAGS)]
    if not has_artifacts(tags):
        return offer(tags, branches)
    with open_repository(repository) as git:
        addresses, others = list_names(git)
    return offer(others, branches, addresses)
