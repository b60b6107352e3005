"""The store, through which cloudseg makes all its calls to Cloud Storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudseg_ops.storage._calls import translated
from cloudseg_ops.storage._connection import RANGES_AT_ONCE
from cloudseg_ops.storage._pace import Pacer
from cloudseg_ops.storage._store_reads import ReadCalls
from cloudseg_ops.storage._store_writes import WriteCalls


class Store(ReadCalls, WriteCalls):
    """Typed calls to Cloud Storage, safe to share between threads.

    Every call retries transient errors with exponential backoff, for two minutes; writes and deletes can have
    preconditions, which make repeating them safe. `Store(client)` uses an existing client of google-cloud-storage;
    `Store.open()` creates one.
    """

    @classmethod
    def open(cls, credentials: Any = None, *, connections: int = 32, pacer: Callable[[], Pacer] = Pacer) -> Store:
        """Connect with `credentials`, or by default with those of the environment.

        If `STORAGE_EMULATOR_HOST` is set, connects to that emulator without credentials.

        Args:
            credentials: google-auth credentials.
            connections: Number of connections kept open, one per calling thread; further ones are opened for each
                request. Reads in ranges use some in addition.
            pacer: Creates the rate limiter for the deletes and copies of a bucket.

        Raises:
            PermissionDeniedError: There are no usable credentials.
        """
        from google.cloud.storage import Client

        from cloudseg_ops.storage._transport import tune

        with translated("connect to Cloud Storage"):
            client = Client(credentials=credentials)
            tune(client, connections + RANGES_AT_ONCE)
        return cls(client, pacer=pacer)

    @property
    def project(self) -> str | None:
        """The project of the credentials; None if they have none."""
        return self._client.project or None

    def create_bucket(self, name: str) -> None:
        """Create a bucket unless it exists; only for laptops and tests."""
        with translated(f"create gs://{name}"):
            if self._client.lookup_bucket(name) is None:
                self._client.create_bucket(name)
