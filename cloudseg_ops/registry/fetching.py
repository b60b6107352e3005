"""Fetches a model from its registry without a run, for a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.contracts.model_section import complete_params
from cloudseg_ops.registry._policy import ANY_REVISION, RevisionPolicy
from cloudseg_ops.registry._pull import admit, download_checked
from cloudseg_ops.registry._remote import RegistryOptions
from cloudseg_ops.registry._repository import open_revision


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """What a run would use.

    Attributes:
        revision: What was asked for.
        repository: The registry's URL or path, without credentials.
        commit: The commit, 40 hex digits.
        path: Path of the weights file in the repository.
        path_origin: What says that path.
        md5: MD5 of the weights file, hex.
        size: Bytes of the weights file.
        params: The parameters.
        origins: By the name of each parameter, where it came from.
        ignored: Keys of the params section that are not parameters of a model.
        note: Where in the weights file the state dict is; empty if it is the whole file.
    """

    revision: str
    repository: str
    commit: str
    path: str
    path_origin: str
    md5: str
    size: int
    params: ModelParams
    origins: Mapping[str, str]
    ignored: tuple[str, ...]
    note: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "revision": self.revision,
            "repository": self.repository,
            "commit": self.commit,
            "path": self.path,
            "path_origin": self.path_origin,
            "md5": self.md5,
            "size": self.size,
            "params": self.params.model_dump(mode="json"),
            "origins": dict(self.origins),
            "ignored": list(self.ignored),
            "note": self.note,
        }


@contextlib.contextmanager
def fetch_model(
    repository: str,
    revision: str,
    path: str,
    *,
    options: RegistryOptions | None = None,
    policy: RevisionPolicy = ANY_REVISION,
    allowed_operators: Collection[str] = (),
) -> Iterator[tuple[ResolvedModel, Path]]:
    """Resolve a model as `pull_model` does, and download and check its weights.

    Args:
        repository: Git URL or path of the registry.
        revision: Artifact, version, stage, tag, branch or commit.
        path: Path of the weights file in the registry, unless an artifact says its own.
        options: How to read params and remote; None: as the registry says.
        policy: Which revisions a run may use.
        allowed_operators: Operators outside of aten that an exported program may use.

    Yields:
        The model, and its weights file, which is deleted afterwards.

    Raises:
        RevisionRefusedError: The policy does not allow the revision.
        RegistryError: The model could not be read; there is a subclass for each cause.
        ModelLoadError: The weights file is not of the kind that the architecture needs, or does not fit it.
    """
    with open_revision(repository, revision, options=options) as registry:
        admit(registry, policy)
        file = registry.find(registry.weights_path(path))
        section = registry.read_section(file.path)
        with download_checked(registry, file) as weights:
            with weights.open("rb") as stream:
                completed = complete_params(
                    section, stream, registry.describe(file), allowed_operators=allowed_operators
                )
            yield (
                ResolvedModel(
                    revision=revision,
                    repository=registry.repository,
                    commit=registry.commit,
                    path=file.path,
                    path_origin=registry.path_origin(),
                    md5=file.md5,
                    size=weights.stat().st_size,
                    params=completed.params,
                    origins=completed.origins,
                    ignored=completed.ignored,
                    note=completed.note,
                ),
                weights,
            )
