"""The state that all calls of the store share: the client, its transport, and the rate limit of each bucket."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cloudseg_ops.storage._pace import Pacer

if TYPE_CHECKING:
    from google.cloud.storage import Client

STREAM_CHUNK = 1024 * 1024
RANGES_AT_ONCE = 8
"""Maximum number of ranges downloaded concurrently, in addition to the first one of each read."""


class Connection:
    """A client of google-cloud-storage with shared state; safe to share between threads.

    Args:
        client: A client of google-cloud-storage.
        pacer: Creates the rate limiter for the deletes and copies of a bucket.
    """

    def __init__(self, client: Client, *, pacer: Callable[[], Pacer] = Pacer) -> None:
        # Imported here, because DAG files are parsed without google.auth and requests.
        from cloudseg_ops.storage._transport import Transport

        self._client = client
        self._transport = Transport(client)
        self._make_pacer = pacer
        self._pacers: dict[str, Pacer] = {}
        # Starts its threads when the first large object is read.
        self._ranges = ThreadPoolExecutor(RANGES_AT_ONCE, "range")

    def _pacer(self, bucket: str) -> Pacer:
        # setdefault is atomic: concurrent threads get the same limiter.
        return self._pacers.setdefault(bucket, self._make_pacer())
