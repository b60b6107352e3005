"""The store: every call that cloudseg makes to Cloud Storage."""

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

    Every call retries what Cloud Storage calls transient, with exponential backoff, for two minutes; writes and
    deletes carry preconditions, so that a repeated one does no harm. `Store(client)` uses an existing client of
    google-cloud-storage; `Store.open()` makes one.
    """

    @classmethod
    def open(cls, credentials: Any = None, *, connections: int = 32, pacer: Callable[[], Pacer] = Pacer) -> Store:
        """Connect with the environment's identity, or with `credentials` when given.

        `STORAGE_EMULATOR_HOST` leads to an emulator, without credentials.

        Args:
            credentials: google-auth credentials.
            connections: Connections kept open, one for each thread that calls; what is beyond them is opened anew for
                each request. Large reads in ranges keep some more.
            pacer: Makes what a bucket's deletes and copies are held to.
        """
        from google.cloud.storage import Client

        from cloudseg_ops.storage._transport import tune

        with translated("connect to Cloud Storage"):
            client = Client(credentials=credentials)
            tune(client, connections + RANGES_AT_ONCE)
        return cls(client, pacer=pacer)

    @property
    def project(self) -> str | None:
        """The project of the identity that calls; None where it names none."""
        return self._client.project or None

    def create_bucket(self, name: str) -> None:
        """Make a bucket unless it exists: for laptops and tests alone."""
        with translated(f"create gs://{name}"):
            if self._client.lookup_bucket(name) is None:
                self._client.create_bucket(name)
