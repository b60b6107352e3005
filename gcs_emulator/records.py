"""Object and bucket records, and their resources in the JSON API."""

from __future__ import annotations

import base64
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

WRITABLE = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "customTime",
    "eventBasedHold",
    "metadata",
    "storageClass",
    "temporaryHold",
)
"""Fields of an object resource that a client can set."""


def rfc3339(microseconds: int) -> str:
    """Format microseconds since 1970 as the JSON API does: RFC 3339, UTC, to the millisecond."""
    moment = datetime.fromtimestamp(microseconds / 1_000_000, tz=UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def writable(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the settable fields of a client's resource, without those set to null."""
    fields = {key: resource[key] for key in WRITABLE if resource.get(key) is not None}
    if "metadata" in fields:
        fields["metadata"] = {k: str(v) for k, v in fields["metadata"].items() if v is not None}
    return fields


def patched(fields: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Apply a JSON merge patch to ``fields``: null removes a field, ``metadata`` merges key by key."""
    merged = dict(fields)
    for key in WRITABLE:
        if key not in patch:
            continue
        if key == "metadata" and patch[key] is not None:
            merged[key] = {**fields.get(key, {}), **patch[key]}
        else:
            merged[key] = patch[key]
    return writable(merged)


@dataclass(frozen=True)
class ObjectRecord:
    """One live object.

    Attributes:
        bucket: its bucket.
        name: its name, at most 1,024 bytes of UTF-8.
        generation: version of the content, in microseconds since 1970; strictly increasing within a store.
        metageneration: version of this generation's metadata, from 1.
        payload: id of the content in the payload store.
        size: size in bytes.
        crc32c: base64 of the big-endian checksum.
        md5: base64 of the digest; None for composed objects.
        updated: time of the last change of content or metadata, in microseconds since 1970.
        fields: fields set by the client.
        components: number of objects it was composed from; 0 if it was not composed.
    """

    bucket: str
    name: str
    generation: int
    metageneration: int
    payload: str
    size: int
    crc32c: str
    md5: str | None
    updated: int
    fields: dict[str, Any]
    components: int = 0

    @property
    def etag(self) -> str:
        """Entity tag, which changes with every change of content or metadata."""
        packed = self.generation.to_bytes(8, "big") + self.metageneration.to_bytes(4, "big")
        return base64.b64encode(packed).decode()

    def resource(self, base_url: str, only: Container[str] | None = None) -> dict[str, Any]:
        """Return the object resource of the JSON API, with links below ``base_url``; ``only`` selects its keys."""
        shown = {
            key: value
            for key, show in _SHOWN.items()
            if (only is None or key in only) and (value := show(self, base_url)) is not None
        }
        shown.update((key, value) for key, value in self.fields.items() if only is None or key in only)
        return shown


def _path(record: ObjectRecord) -> str:
    return f"b/{quote(record.bucket, safe='')}/o/{quote(record.name, safe='')}"


def _created(record: ObjectRecord, _: str) -> str:
    return rfc3339(record.generation)


_SHOWN: dict[str, Callable[[ObjectRecord, str], Any]] = {
    "kind": lambda _, __: "storage#object",
    "id": lambda record, _: f"{record.bucket}/{record.name}/{record.generation}",
    "selfLink": lambda record, url: f"{url}/storage/v1/{_path(record)}",
    "mediaLink": lambda record, url: (
        f"{url}/download/storage/v1/{_path(record)}?generation={record.generation}&alt=media"
    ),
    "bucket": lambda record, _: record.bucket,
    "name": lambda record, _: record.name,
    "generation": lambda record, _: str(record.generation),
    "metageneration": lambda record, _: str(record.metageneration),
    "size": lambda record, _: str(record.size),
    "crc32c": lambda record, _: record.crc32c,
    "etag": lambda record, _: record.etag,
    "storageClass": lambda _, __: "STANDARD",
    "timeCreated": _created,
    "timeStorageClassUpdated": _created,
    "timeFinalized": _created,
    "updated": lambda record, _: rfc3339(record.updated),
    "md5Hash": lambda record, _: record.md5,
    "componentCount": lambda record, _: record.components or None,
}
"""The server's fields of an object resource; unset fields are omitted."""


@dataclass(frozen=True)
class BucketRecord:
    """One bucket.

    Attributes:
        name: its name.
        metageneration: version of its metadata, from 1.
        created: time of creation, in microseconds since 1970.
        updated: time of the last change of its metadata, in microseconds since 1970.
        fields: other fields set by the client (labels, location, …), stored without effect.
    """

    name: str
    metageneration: int
    created: int
    updated: int
    fields: dict[str, Any] = field(default_factory=dict)

    def resource(self, base_url: str) -> dict[str, Any]:
        """Return the bucket resource of the JSON API."""
        return {
            "location": "US",
            "locationType": "multi-region",
            "storageClass": "STANDARD",
            **self.fields,
            "kind": "storage#bucket",
            "id": self.name,
            "name": self.name,
            "selfLink": f"{base_url}/storage/v1/b/{self.name}",
            "projectNumber": "1",
            "metageneration": str(self.metageneration),
            "etag": base64.b64encode(self.metageneration.to_bytes(4, "big")).decode(),
            "timeCreated": rfc3339(self.created),
            "updated": rfc3339(self.updated),
        }
