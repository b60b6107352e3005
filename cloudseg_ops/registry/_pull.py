"""Copies the model of a run from the registry to STAGING, where its name is its MD5."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from cloudseg_ops.contracts.errors import CorruptModelError, ModelPathError, PreconditionFailedError
from cloudseg_ops.contracts.model_ref import ModelRef, model_digest
from cloudseg_ops.contracts.model_section import CompletedParams, ModelSection, complete_params
from cloudseg_ops.contracts.run_layout import RunLayout, staged_weights
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.registry._policy import ANY_REVISION, RevisionPolicy, check_policy
from cloudseg_ops.registry._project import TrackedFile
from cloudseg_ops.registry._remote import RegistryOptions
from cloudseg_ops.registry._repository import open_revision
from cloudseg_ops.registry._revision import RegistryRevision
from cloudseg_ops.registry._staged import open_staged
from cloudseg_ops.storage import Store

_log = logging.getLogger(__name__)


def pull_model(
    store: Store,
    layout: RunLayout,
    *,
    repository: str,
    revision: str,
    path: str,
    options: RegistryOptions | None = None,
    policy: RevisionPolicy = ANY_REVISION,
    allowed_operators: Collection[str] = (),
) -> ModelRef:
    """Resolve a revision, check its weights, stage them unless they are staged already, and write model.json.

    Weights that cannot be those of the model fail here, before any chunk starts; whether their values are finite is
    checked by the engine, which reads all of them.

    A run uses one model. If its model.json exists already, because the task was killed after writing it or was
    cleared, the model in it is used, even if the revision or the stage now means another.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        repository: Git URL or path of the registry.
        revision: Artifact, version, stage, tag, branch or commit.
        path: Path of the weights file in the registry, unless an artifact says its own.
        options: How to read params and remote; None: as the registry says.
        policy: Which revisions a run may use.
        allowed_operators: Operators outside of aten that an exported program may use.

    Raises:
        RevisionRefusedError: The policy does not allow the revision.
        RegistryError: The model could not be read; `contracts.errors` has a subclass for each cause.
        ModelLoadError: The weights file is not of the kind that the architecture needs, or does not fit it.
    """
    before = read_model(store, layout)
    if before is not None:
        _check_again(store, before, repository=repository, path=path, options=options, policy=policy)
        return before
    with open_revision(repository, revision, options=options) as registry:
        admit(registry, policy)
        file = registry.find(registry.weights_path(path))
        section = registry.read_section(file.path)
        uri = staged_weights(layout.staging, file.md5, PurePosixPath(file.path).suffix)
        completed = _stage(store, registry, file, uri, section, allowed_operators=allowed_operators)
        for line in completed.log_lines():
            _log.info("%s", line)
        params = completed.params
        model = ModelRef(
            revision=revision,
            commit=registry.commit,
            repository=registry.repository,
            md5=file.md5,
            uri=str(uri),
            digest=model_digest(file.md5, params),
            params=params,
            allowed_operators=tuple(allowed_operators),
            admitted=policy.revisions,
        )
    document = json.dumps(model.to_json(), indent=2).encode()
    store.write(layout.model, document, content_type="application/json")
    return model


def _check_again(
    store: Store,
    model: ModelRef,
    *,
    repository: str,
    path: str,
    options: RegistryOptions | None,
    policy: RevisionPolicy,
) -> None:
    """Make sure that the weights of a run's model are still staged, and that a stricter policy allows it, too."""
    uri = GcsUri.parse(model.uri)
    staged = store.stat(uri)
    intact = bool(staged and _hex(staged.md5) == model.md5)
    admitted = policy.covers(model.admitted)
    if intact and admitted:
        return
    with open_revision(repository, model.revision, options=options, commit=model.commit) as registry:
        if not admitted:
            admit(registry, policy)
        if not intact:
            file = _find_again(registry, path, model)
            section = registry.read_section(file.path)
            _stage(store, registry, file, uri, section, allowed_operators=model.allowed_operators)


def admit(registry: RegistryRevision, policy: RevisionPolicy) -> None:
    """Check that a run may use a revision.

    Raises:
        RevisionRefusedError: The policy does not allow it.
    """
    check_policy(
        policy, registry.git_folder, revision=registry.asked, commit=registry.commit, where=registry.repository
    )


def _find_again(registry: RegistryRevision, path: str, model: ModelRef) -> TrackedFile:
    # The name of an artifact may be a tag's as well, and settings may have changed since: the MD5 decides.
    found: TrackedFile | None = None
    for candidate in dict.fromkeys([path, registry.weights_path(path)]):
        with contextlib.suppress(ModelPathError):
            found = registry.find(candidate)
            if found.md5 == model.md5:
                return found
    file = found or registry.find(registry.weights_path(path))
    raise CorruptModelError(
        f"this run's model has md5 {model.md5}, but {file.path!r} of {model.repository} at commit "
        f"{model.commit[:12]} has {file.md5}: CLOUDSEG_MODEL_PATH has changed since; restore it, or start another run"
    )


def read_model(store: Store, layout: RunLayout) -> ModelRef | None:
    """Return the run's model reference from model.json; None before `pull_model` has written it.

    Raises:
        ManifestError: The file does not hold a model reference.
    """
    if store.stat(layout.model) is None:
        return None
    return ModelRef.parse(store.read(layout.model), str(layout.model))


def _stage(
    store: Store,
    registry: RegistryRevision,
    file: TrackedFile,
    uri: GcsUri,
    section: ModelSection,
    *,
    allowed_operators: Collection[str],
) -> CompletedParams:
    where = registry.describe(file)
    staged = store.stat(uri)
    if staged and _hex(staged.md5) == file.md5:
        # Staged for other parameters, perhaps, or by a version that did not check.
        with open_staged(store, uri, staged) as weights:
            return complete_params(section, weights, where, allowed_operators=allowed_operators)
    with download_checked(registry, file) as local:
        with local.open("rb") as weights:
            completed = complete_params(section, weights, where, allowed_operators=allowed_operators)
        try:
            store.write_file(uri, local, if_generation_match=staged.generation if staged else 0)
        except PreconditionFailedError:
            # Another run staged this name meanwhile; the check below makes sure that the bytes are the same.
            now = store.stat(uri)
            if now is None or _hex(now.md5) != file.md5:
                raise
    return completed


@contextlib.contextmanager
def download_checked(registry: RegistryRevision, file: TrackedFile) -> Iterator[Path]:
    """Download a file to a temporary folder, and check its MD5.

    Raises:
        ModelObjectMissingError: The remote does not have the file.
        CorruptModelError: The data of the remote does not match its MD5.
        RegistryError: The remote cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="cloudseg-model-") as folder:
        local = Path(folder) / "weights"
        registry.download(file, local)
        with local.open("rb") as stream:
            found = hashlib.file_digest(stream, _md5).hexdigest()
        if found != file.md5:
            raise CorruptModelError(
                f"{file.path!r} of {registry.repository} at {registry.revision}: DVC recorded md5 {file.md5}, but the "
                f"{local.stat().st_size} bytes in the remote have {found}; restore that object in the remote "
                "(`dvc push` from a good copy), then clear the task"
            )
        yield local


def _hex(md5_base64: str) -> str:
    return base64.b64decode(md5_base64).hex()


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)
