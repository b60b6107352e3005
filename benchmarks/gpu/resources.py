"""Names, addresses and resources of the objects that the storage stand-in serves."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import google_crc32c

GENERATION = 1_700_000_000_000_000
"""Generation of every object."""
PHOTOGRAPH = re.compile(r"photo-(\d+)\.jpg$")
_MASK = re.compile(r"photo-(\d+)\D")
Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response."""

    status: int = 200
    body: bytes = b""
    headers: Headers = field(default_factory=dict)

    @classmethod
    def json(cls, value: object) -> HttpResponse:
        return cls(200, json.dumps(value).encode(), {"content-type": "application/json"})


def photo_name(number: int) -> str:
    """Return the name of an input photograph."""
    return f"photo-{number:07}.jpg"


def mask_number(name: str) -> int:
    """Return the number of the photograph to which a mask belongs.

    Raises:
        ValueError: The name is not that of a photograph's mask.
    """
    if found := _MASK.search(name):
        return int(found[1])
    raise ValueError(f"{name} is not the mask of a photograph that this stand-in serves")


def crc32c_of(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def object_resource(bucket: str, name: str, size: int, crc32c: str, metadata: object = None) -> dict[str, Any]:
    """Return the JSON API's object resource, with the fields that cloudseg and google-cloud-storage read."""
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "generation": str(GENERATION),
        "metageneration": "1",
        "size": str(size),
        "crc32c": crc32c,
        "updated": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "metadata": metadata or {},
    }


def staged_path(folder: Path, bucket: str, name: str) -> Path:
    """Return the path of an object in STAGING."""
    return folder / "staged" / quote(bucket, safe="") / quote(name, safe="")
