"""Reads the run's model reference and weights, and verifies their checksums."""

from __future__ import annotations

import hashlib

from cloudseg_ops.contracts.errors import CorruptModelError, ModelLoadError
from cloudseg_ops.contracts.model_ref import ModelRef, model_digest
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.contracts.weights_errors import mismatch_error
from cloudseg_ops.storage import Store

_MAX_DETAIL = 800


def describe(ref: ModelRef) -> str:
    """Return the name of a model for messages."""
    return f"model {ref.revision} (commit {ref.commit[:12]}, md5 {ref.md5})"


def read_model_ref(store: Store, uri: GcsUri) -> ModelRef:
    """Read and verify the run's model reference.

    Raises:
        ManifestError: The object is not a valid model reference.
        CorruptModelError: Its digest does not match its MD5 and parameters.
    """
    ref = ModelRef.parse(store.read(uri), str(uri))
    if (digest := model_digest(ref.md5, ref.params)) != ref.digest:
        raise CorruptModelError(
            f"{uri} has the digest {ref.digest}, but its md5 and parameters give {digest}: it was edited, or written "
            "by another version of cloudseg; clear `pull_model`, which writes it"
        )
    return ref


def read_weights(store: Store, ref: ModelRef) -> bytes:
    """Download and verify the weights.

    Raises:
        CorruptModelError: Their MD5 is not that of the model reference.
    """
    data = store.read(GcsUri.parse(ref.uri))
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != ref.md5:
        raise CorruptModelError(
            f"{ref.uri} has md5 {found}, but {describe(ref)} was expected: nothing was segmented; delete that object "
            "and clear `pull_model`, which stages it again"
        )
    return data


def load_error(ref: ModelRef, found: object, expected: str) -> ModelLoadError:
    """Return the error that says that a weights file does not fit the model's parameters.

    Args:
        ref: The model.
        found: What is wrong with the file; or the exception that loading it raised.
        expected: What it should be.
    """
    detail = f"{type(found).__name__}: {found}" if isinstance(found, Exception) else str(found)
    return mismatch_error(ref.params, locate(ref), " ".join(detail.split())[:_MAX_DETAIL], expected)


def locate(ref: ModelRef) -> str:
    """Return a model and where its weights are staged, for messages."""
    return f"{describe(ref)} at {ref.uri}"
