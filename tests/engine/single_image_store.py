"""A store with any number of images, which are all the same photograph, and whose masks are discarded.

Replaces the emulator in tests of the engine's memory: over HTTP, tens of thousands of images would take minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import ObjectInfo, Store


class SingleImageStore(Store):
    """Holds files by address, and `images` photographs in a chunk."""

    def __init__(self, files: dict[str, bytes], photograph: bytes, images: int) -> None:
        self._files = files
        self._photograph = photograph
        self._images = images
        self.masks = 0

    def read(self, uri: GcsUri, **_: Any) -> bytes:
        return self._files.get(str(uri), self._photograph)

    def read_input(self, uri: GcsUri, **_: Any) -> tuple[bytes, str]:
        return self.read(uri), "AAAAAA=="

    def read_lines(self, uri: GcsUri) -> Iterator[str]:
        for index in range(self._images):
            yield InputObject(f"sky/{index:08}.png", 1, len(self._photograph), "AAAAAA==").to_line()

    def stat_many(self, bucket: str, names: Sequence[str]) -> dict[str, ObjectInfo]:
        return {}

    def stat(self, uri: GcsUri) -> ObjectInfo | None:
        return None

    def write(self, uri: GcsUri, data: bytes, **_: Any) -> ObjectInfo:
        self.masks += uri.name.endswith(".mask.png")
        return ObjectInfo(uri.bucket, uri.name, 1, len(data), "AAAAAA==", "", datetime.now(UTC))

    def write_lines(self, uri: GcsUri, lines: Any, **_: Any) -> None:
        assert sum(1 for _ in lines) == self._images
