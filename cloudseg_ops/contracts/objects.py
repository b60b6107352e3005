"""Objects in Cloud Storage, and input versions: one line of a snapshot or of a chunk, and what may be one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloudseg_ops.contracts.errors import ManifestError
from cloudseg_ops.contracts.provenance import MASK_SUFFIX, mask_name, quarantine_name

_quoted = json.JSONEncoder(ensure_ascii=False).encode
MAX_NAME_BYTES = 1024  # cloud.google.com/storage/docs/objects#naming
# What the names of inputs may be asked to begin with, as JSON schema reads it in a trigger form: no address with its
# bucket, and no line end, which a name cannot hold.
PREFIX_PATTERN = r"^(?!gs://)[^\r\n]*$(?!\n)"
IMAGE_TYPES = ("jpg", "jpeg", "png", "tif", "tiff", "webp", "bmp")
# A delivery's smoke test lays its photograph here and takes it away again, whatever else goes on meanwhile.
SMOKE_TEST_FOLDER = "cloudseg-smoke/"
NOT_SETTLED = "it has not settled yet; the next run takes it"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object in Cloud Storage: its version and its metadata.

    Attributes:
        bucket: Its bucket.
        name: Its name.
        generation: Its version number.
        size: Bytes.
        crc32c: CRC32C of the bytes, base64.
        md5: MD5 of the bytes, base64; empty for composed objects.
        updated: When it or its metadata last changed; timezone-aware.
        metadata: Custom metadata.
    """

    bucket: str
    name: str
    generation: int
    size: int
    crc32c: str
    md5: str
    updated: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InputObject:
    """One version of one input: a line `{"name", "generation", "size", "crc32c"}`.

    Attributes:
        name: Object name, without the bucket.
        generation: Version number, which Cloud Storage gives and never reuses.
        size: Bytes.
        crc32c: CRC32C of the bytes, big-endian, base64, as Cloud Storage gives it.
    """

    name: str
    generation: int
    size: int
    crc32c: str

    def to_line(self) -> str:
        """The JSON line of this version, without a line end."""
        # As json.dumps would have it, which takes six times as long: a run has a million of these.
        return (
            f'{{"name": {_quoted(self.name)}, "generation": {self.generation}, '
            f'"size": {self.size}, "crc32c": {_quoted(self.crc32c)}}}'
        )

    @classmethod
    def from_line(cls, line: str) -> InputObject:
        """Read a JSON line; keys beyond the four are left out.

        Raises:
            ManifestError: The line is not of this form.
        """
        try:
            fields = json.loads(line)
            return cls(str(fields["name"]), int(fields["generation"]), int(fields["size"]), str(fields["crc32c"]))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise ManifestError(
                f"this line is not an input version ({type(error).__name__}: {error}): {line[:200]!r}; "
                "a manifest is written by cloudseg alone: remove the run's folder in STAGING and run again"
            ) from error


def is_image_name(name: str, image_types: Iterable[str] = IMAGE_TYPES) -> bool:
    """Tell by its extension whether an object is a photograph. Masks, which are PNG too, are not."""
    _, dot, extension = name.rpartition(".")
    return bool(dot) and extension.lower() in image_types and not name.endswith(MASK_SUFFIX)


def is_settled(updated: datetime, now: datetime, settle: timedelta) -> bool:
    """Tell whether an object has been left alone for at least `settle`."""
    return now - updated >= settle


def select_new(
    listed: Iterable[ObjectInfo],
    *,
    now: datetime,
    settle: timedelta,
    image_types: Iterable[str] = IMAGE_TYPES,
    max_objects: int | None = None,
    prefix: str = "",
    on_left: Callable[[str, str], None] | None = None,
) -> Iterator[InputObject]:
    """Stream what a run takes in: image types that have settled, in the listing's order.

    Args:
        listed: The input bucket's objects under the prefix.
        now: The time to judge ages by; timezone-aware.
        settle: An object changed less than this ago is left for the next run.
        image_types: Lower-case extensions, without the dot.
        max_objects: Take at most so many.
        prefix: What the listing was asked for. The folder of smoke tests is for those alone who ask for it.
        on_left: Called with the name of each image that is left out, and why.
    """
    types = frozenset(image_types)
    smoke_test = prefix.startswith(SMOKE_TEST_FOLDER)
    taken = 0
    for candidate in listed:
        if taken == max_objects:
            return
        if not is_image_name(candidate.name, types) or (
            candidate.name.startswith(SMOKE_TEST_FOLDER) and not smoke_test
        ):
            continue
        if reason := _why_left(candidate, now, settle):
            if on_left:
                on_left(candidate.name, reason)
            continue
        taken += 1
        yield InputObject(candidate.name, candidate.generation, candidate.size, candidate.crc32c)


def _why_left(candidate: ObjectInfo, now: datetime, settle: timedelta) -> str | None:
    if not is_settled(candidate.updated, now, settle):
        return NOT_SETTLED
    longest = max(len(name(candidate.name).encode()) for name in (mask_name, quarantine_name))
    if longest > MAX_NAME_BYTES:
        return f"its name is too long for a mask's, by {longest - MAX_NAME_BYTES} bytes; rename it"
    return None
