"""Where the preview of an image lies: a name that follows from the image, so that nobody has to list for it."""

from __future__ import annotations

import hashlib

from cloudseg_ops.contracts.uris import GcsUri

MORE_FOLDER = "more/"
"""Below a run's previews: those beyond the first of each chunk, where the report's listing does not come by them.

It sorts after every number of a chunk.
"""


def image_key(name: str, generation: int) -> str:
    """Digest of an input version, 32 hex digits: the same in every run."""
    return hashlib.sha256(f"{generation}\n{name}".encode(errors="replace")).hexdigest()[:32]


def preview_uri(folder: GcsUri, chunk: int, name: str, generation: int, *, first: bool) -> GcsUri:
    """Where the preview of an input version lies.

    Args:
        folder: The run's previews.
        chunk: Index of its chunk: previews are listed by chunk.
        name: The input's name.
        generation: Its version number.
        first: Whether it is one of the first of its chunk, which the report's contact sheet chooses from.
    """
    return folder / f"{'' if first else MORE_FOLDER}{chunk:05d}-{image_key(name, generation)}.jpg"
