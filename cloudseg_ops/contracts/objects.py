"""Objects in Cloud Storage, and input versions: the lines of snapshots and chunks, and the rules that select them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloudseg_ops.contracts.errors import ManifestError
from cloudseg_ops.contracts.json_text import load_json
from cloudseg_ops.contracts.provenance import MASK_SUFFIX, mask_name, quarantine_name

_quoted = json.JSONEncoder(ensure_ascii=False).encode
MAX_NAME_BYTES = 1024  # cloud.google.com/storage/docs/objects#naming
# A valid prefix of input names, as a JSON schema pattern for the trigger form: no gs:// address, and no line end, which
# a name cannot contain.
PREFIX_PATTERN = r"^(?![gG][sS]://)[^\r\n]*$(?!\n)"
IMAGE_TYPES = ("jpg", "jpeg", "png", "tif", "tiff", "webp", "bmp")
# A delivery's smoke test uploads its photograph here and removes it, whatever other runs do in the meantime.
SMOKE_TEST_FOLDER = "cloudseg-smoke/"
NOT_SETTLED = "it has not settled yet; the next run takes it"
NOT_AN_IMAGE = "CLOUDSEG_IMAGE_TYPES does not have its extension"
# Files that macOS and Windows create next to photographs, in lower case.
_DESKTOP_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One version of an object in Cloud Storage, with its metadata.

    Attributes:
        bucket: The bucket's name.
        name: The object's name.
        generation: The version number.
        size: Size in bytes.
        crc32c: CRC32C of the data, base64.
        md5: MD5 of the data, base64; empty for composed objects.
        updated: Time of the last change to the object or its metadata; timezone-aware.
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
    """An input version, serialized as a line `{"name", "generation", "size", "crc32c"}`.

    Attributes:
        name: Object name, without the bucket.
        generation: Version number, assigned by Cloud Storage and never reused.
        size: Size in bytes.
        crc32c: CRC32C of the data, big-endian, base64, as returned by Cloud Storage.
    """

    name: str
    generation: int
    size: int
    crc32c: str

    def to_line(self) -> str:
        """Return the JSON line of this version, without a line end."""
        # The output of json.dumps, six times as fast: a run has a million of these.
        return (
            f'{{"name": {_quoted(self.name)}, "generation": {self.generation}, '
            f'"size": {self.size}, "crc32c": {_quoted(self.crc32c)}}}'
        )

    @classmethod
    def from_line(cls, line: str) -> InputObject:
        """Parse a JSON line; other keys are ignored.

        Raises:
            ManifestError: The line is not an input version.
        """
        try:
            fields = load_json(line)
            return cls(str(fields["name"]), int(fields["generation"]), int(fields["size"]), str(fields["crc32c"]))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise ManifestError(
                f"this line is not an input version ({type(error).__name__}: {error}): {line[:200]!r}; "
                "only cloudseg may write this file: remove the run's folder in STAGING and run again"
            ) from error


def prefix_problem(prefix: str) -> str | None:
    """Return why no object's name can begin with `prefix`, or None if it is a valid prefix."""
    if not re.match(PREFIX_PATTERN, prefix):
        return "give the start of object names on one line, without gs:// and bucket"
    if (size := len(prefix.encode("utf-8", "surrogatepass"))) > MAX_NAME_BYTES:
        return f"it has {size} bytes in UTF-8, and the names of objects have at most {MAX_NAME_BYTES}"
    return None


def is_image_name(name: str, image_types: Iterable[str] = IMAGE_TYPES) -> bool:
    """Return whether an object's name has the extension of a photograph.

    Masks do not count, though they are PNG, and neither does what macOS stores next to a photograph, as `._a.jpg`.
    """
    _, dot, extension = name.rpartition(".")
    return bool(dot) and extension.lower() in image_types and not is_ignored(name)


def is_ignored(name: str) -> bool:
    """Return whether an object is never taken and not worth mentioning: masks, folders, and files of a desktop."""
    file = name.rpartition("/")[2]
    return (
        not file
        or file.endswith(MASK_SUFFIX)
        or file.startswith("._")
        or file.lower() in _DESKTOP_FILES
        or name.startswith("__MACOSX/")
        or "/__MACOSX/" in name
    )


def is_settled(updated: datetime, now: datetime, settle: timedelta) -> bool:
    """Return whether an object has been unchanged for at least `settle`."""
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
    """Yield the input versions that a run processes: settled photographs, in the listing's order.

    Args:
        listed: The input bucket's objects under the prefix.
        now: The time from which ages are measured; timezone-aware.
        settle: An object changed less than this ago is left for the next run.
        image_types: Lower-case extensions, without the dot.
        max_objects: Maximum number of input versions.
        prefix: The prefix of the listing. The folder of smoke tests is skipped unless the prefix is within it.
        on_left: Called with the name of each object that is left out, and the reason: `NOT_AN_IMAGE`, `NOT_SETTLED`,
            or that its name is too long. Ignored objects (`is_ignored`) are left out silently.
    """
    types = frozenset(image_types)
    smoke_test = prefix.startswith(SMOKE_TEST_FOLDER)
    taken = 0
    for candidate in listed:
        if taken == max_objects:
            return
        if candidate.name.startswith(SMOKE_TEST_FOLDER) and not smoke_test:
            continue
        if reason := _why_left(candidate, types, now, settle):
            if on_left and not is_ignored(candidate.name):
                on_left(candidate.name, reason)
            continue
        taken += 1
        yield InputObject(candidate.name, candidate.generation, candidate.size, candidate.crc32c)


def _why_left(candidate: ObjectInfo, types: frozenset[str], now: datetime, settle: timedelta) -> str | None:
    if not is_image_name(candidate.name, types):
        return NOT_AN_IMAGE
    if not is_settled(candidate.updated, now, settle):
        return NOT_SETTLED
    longest = max(len(name(candidate.name).encode()) for name in (mask_name, quarantine_name))
    if longest > MAX_NAME_BYTES:
        return f"its name is {longest - MAX_NAME_BYTES} bytes too long to name its mask after it; rename it"
    return None
