"""What the emulator remembers about an object and a bucket, and how the JSON API shows it."""

from __future__ import annotations

import base64
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
"""The fields of an object resource that a caller may set."""


def rfc3339(microseconds: int) -> str:
    """Format microseconds since 1970 the way the JSON API does: UTC, to the millisecond."""
    moment = datetime.fromtimestamp(microseconds / 1_000_000, tz=UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def writable(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the settable fields of a resource that a caller sent, without those set to null."""
    fields = {key: resource[key] for key in WRITABLE if resource.get(key) is not None}
    if "metadata" in fields:
        fields["metadata"] = {k: str(v) for k, v in fields["metadata"].items() if v is not None}
    return fields


def patched(fields: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return ``fields`` after a JSON merge patch: null removes, ``metadata`` merges key by key."""
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
        name: its name, any Unicode of at most 1,024 bytes in UTF-8.
        generation: the version of the content: microseconds since 1970, strictly increasing in a store.
        metageneration: the version of the metadata of this generation, from 1.
        payload: where the payload store keeps the bytes.
        size: bytes.
        crc32c: base64 of the big-endian checksum.
        md5: base64 of the digest; None for composed objects.
        updated: microseconds since 1970 of the last change of content or metadata.
        fields: the fields the caller set.
        components: how many objects it was composed of; 0 if it was not composed.
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
        """A token that changes with every change of content or metadata."""
        packed = self.generation.to_bytes(8, "big") + self.metageneration.to_bytes(4, "big")
        return base64.b64encode(packed).decode()

    def resource(self, base_url: str) -> dict[str, Any]:
        """Return the object resource of the JSON API, with links below ``base_url``."""
        path = f"b/{quote(self.bucket, safe='')}/o/{quote(self.name, safe='')}"
        created = rfc3339(self.generation)
        shown: dict[str, Any] = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": f"{base_url}/storage/v1/{path}",
            "mediaLink": f"{base_url}/download/storage/v1/{path}?generation={self.generation}&alt=media",
            "bucket": self.bucket,
            "name": self.name,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "size": str(self.size),
            "crc32c": self.crc32c,
            "etag": self.etag,
            "storageClass": "STANDARD",
            "timeCreated": created,
            "timeStorageClassUpdated": created,
            "timeFinalized": created,
            "updated": rfc3339(self.updated),
        }
        if self.md5 is not None:
            shown["md5Hash"] = self.md5
        if self.components:
            shown["componentCount"] = self.components
        return {**shown, **self.fields}


@dataclass(frozen=True)
class BucketRecord:
    """One bucket.

    Attributes:
        name: its name.
        metageneration: the version of its metadata, from 1.
        created: microseconds since 1970.
        updated: microseconds since 1970 of the last change of its metadata.
        fields: whatever else the caller set (labels, location, …), kept and shown, without effect.
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
