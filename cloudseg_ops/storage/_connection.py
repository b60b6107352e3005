"""What all calls of the store share: the client, its transport, and the pace of each bucket."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._pace import Pacer

if TYPE_CHECKING:
    from google.cloud.storage import Bucket, Client

STREAM_CHUNK = 1024 * 1024
RANGES_AT_ONCE = 8
"""Ranges that are under way at once, beside the first of each read."""


class Connection:
    """A client of google-cloud-storage and what is kept beside it; safe to share between threads.

    Args:
        client: Of google-cloud-storage.
        pacer: Makes the limit on the rate of a bucket's deletes and copies.
    """

    def __init__(self, client: Client, *, pacer: Callable[[], Pacer] = Pacer) -> None:
        # Here and not above: a DAG is parsed without google.auth and requests.
        from cloudseg_ops.storage._transport import Transport

        self._client = client
        self._transport = Transport(client)
        self._make_pacer = pacer
        self._pacers: dict[str, Pacer] = {}
        # Its threads start when the first large object is read.
        self._ranges = ThreadPoolExecutor(RANGES_AT_ONCE, "range")

    def _bucket(self, uri: GcsUri) -> Bucket:
        return self._client.bucket(uri.bucket)

    def _pacer(self, bucket: str) -> Pacer:
        # Atomic: of threads that come at once, all get the same one.
        return self._pacers.setdefault(bucket, self._make_pacer())
