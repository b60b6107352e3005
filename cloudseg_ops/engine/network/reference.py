"""Reads the run's model, and verifies its checksums."""

from __future__ import annotations

import hashlib
import json

from cloudseg_ops.contracts.errors import CorruptModelError, ManifestError
from cloudseg_ops.contracts.model_ref import ModelRef, model_digest
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store


def describe(ref: ModelRef) -> str:
    """Name a model in messages."""
    return f"model {ref.revision} (commit {ref.commit[:12]}, md5 {ref.md5})"


def read_model_ref(store: Store, uri: GcsUri) -> ModelRef:
    """Read the run's model reference.

    Raises:
        ManifestError: It is not a model reference.
        CorruptModelError: Its digest is not that of its md5 and parameters.
    """
    try:
        fields = json.loads(store.read(uri))
    except ValueError as error:
        raise ManifestError(f"{uri} is not JSON ({error}); clear `pull_model`, which writes it") from None
    ref = ModelRef.from_json(fields, str(uri))
    if (digest := model_digest(ref.md5, ref.params)) != ref.digest:
        raise CorruptModelError(
            f"{uri} names the digest {ref.digest}, and its md5 and parameters give {digest}: it was edited, or "
            "written by another version of cloudseg; clear `pull_model`, which writes it"
        )
    return ref


def read_weights(store: Store, ref: ModelRef) -> bytes:
    """Download the weights.

    Raises:
        CorruptModelError: The bytes are not those that the reference promises.
    """
    data = store.read(GcsUri.parse(ref.uri))
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != ref.md5:
        raise CorruptModelError(
            f"{ref.uri} has md5 {found}, and {describe(ref)} was promised: nothing was segmented; remove that "
            "object and clear `pull_model`, which stages it again"
        )
    return data
