"""The auditor of the fault suite: it shares no code with cloudseg, and reads the buckets past the proxy.

It knows every upload, because the suite made them, and says where each is. It knows the formats only as the
documentation describes them (docs/architecture.md).
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

_TIMEOUT = 60


@dataclass(frozen=True)
class Upload:
    """One upload of the suite.

    Attributes:
        name: Name of the object.
        generation: The generation that the emulator gave it.
        data: Its bytes.
        size: Width and height of the photograph; None: it is not a photograph.
        crc32c: Its checksum, as the emulator returned it.
    """

    name: str
    generation: int
    data: bytes
    size: tuple[int, int] | None
    crc32c: str


@dataclass
class Ledger:
    """All uploads, and the versions that another user deleted."""

    uploads: list[Upload] = field(default_factory=list)
    removed: set[tuple[str, int]] = field(default_factory=set)

    def newest(self) -> dict[str, int]:
        """Return the newest generation of each name."""
        newest: dict[str, int] = {}
        for upload in self.uploads:
            newest[upload.name] = max(newest.get(upload.name, 0), upload.generation)
        return newest


@dataclass
class Verdict:
    """Where the uploads are, and what is wrong.

    Attributes:
        places: Number of uploads by place.
        lost: Uploads that are nowhere.
        false_alarms: What contradicts the buckets, such as a good photograph in quarantine.
    """

    places: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)


class Judge:
    """Judges the buckets of one world.

    Args:
        url: Address of the emulator, not of the proxy.
        input_bucket: Bucket of the photographs.
        output_bucket: Bucket of masks and quarantine.
        digest: Digest of the only model that is used.
    """

    def __init__(self, url: str, input_bucket: str, output_bucket: str, digest: str) -> None:
        self._url = url
        self._input = input_bucket
        self._output = output_bucket
        self._digest = digest
        self._session = requests.Session()

    def judge(self, ledger: Ledger) -> Verdict:
        """Return where each upload is."""
        inputs, outputs = self._list(self._input), self._list(self._output)
        verdict, newest = Verdict(), ledger.newest()
        for upload in ledger.uploads:
            place = self._place(upload, inputs, outputs, verdict)
            if place == "nowhere":
                if (upload.name, upload.generation) in ledger.removed:
                    place = "removed"
                elif newest[upload.name] > upload.generation:
                    place = "superseded"
                else:
                    verdict.lost.append(f"{upload.name}#{upload.generation}")
            verdict.places[place] += 1
        return verdict

    def _place(self, upload: Upload, inputs: dict[str, Any], outputs: dict[str, Any], verdict: Verdict) -> str:
        here = inputs.get(upload.name)
        mask, copy = outputs.get(f"{upload.name}.mask.png"), outputs.get(f"quarantine/{upload.name}")
        masked, quarantined = self._is_mask_of(mask, upload), self._is_copy_of(copy, upload)
        if masked and upload.size is None:
            verdict.false_alarms.append(f"{upload.name}#{upload.generation} is not a photograph, and has a mask")
        if quarantined and upload.size is not None:
            reason = (copy or {}).get("metadata", {}).get("cloudseg-reason")
            verdict.false_alarms.append(f"{upload.name}#{upload.generation} is in quarantine, but good: {reason}")
        if here is not None and int(here["generation"]) == upload.generation:
            return "input"
        return "masked" if masked else "quarantined" if quarantined else "nowhere"

    def _is_mask_of(self, found: dict[str, Any] | None, upload: Upload) -> bool:
        if found is None or not self._is_from(found, upload):
            return False
        if found["metadata"].get("cloudseg-model-digest") != self._digest:
            return False
        data = self._read(self._output, found["name"])
        is_png = data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR"
        return is_png and struct.unpack(">II", data[16:24]) == (upload.size or (0, 0))

    def _is_copy_of(self, found: dict[str, Any] | None, upload: Upload) -> bool:
        if found is None or not self._is_from(found, upload) or not found["metadata"].get("cloudseg-reason"):
            return False
        return self._read(self._output, found["name"]) == upload.data

    def _is_from(self, found: dict[str, Any], upload: Upload) -> bool:
        metadata = found.get("metadata", {})
        return (
            metadata.get("cloudseg-source-bucket"),
            metadata.get("cloudseg-source-name"),
            metadata.get("cloudseg-source-generation"),
            metadata.get("cloudseg-source-crc32c"),
        ) == (self._input, upload.name, str(upload.generation), upload.crc32c)

    def _list(self, bucket: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        token = ""
        while True:
            response = self._session.get(
                f"{self._url}/storage/v1/b/{bucket}/o", params={"pageToken": token}, timeout=_TIMEOUT
            )
            response.raise_for_status()
            document = response.json()
            found.update((item["name"], item) for item in document.get("items", ()))
            token = document.get("nextPageToken", "")
            if not token:
                return found

    def _read(self, bucket: str, name: str) -> bytes:
        url = f"{self._url}/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media"
        response = self._session.get(url, timeout=_TIMEOUT)
        response.raise_for_status()
        return response.content
