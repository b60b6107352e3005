"""The API server's settings and its shared store, created on first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from cloudseg_ops.config.connections import open_store
from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.storage import Store


@dataclass(frozen=True, slots=True)
class Buckets:
    """The settings of the environment, and access to its buckets.

    Attributes:
        settings: The environment's settings.
        store: Cloud Storage.
    """

    settings: Settings
    store: Store

    def layout(self, run_id: str) -> RunLayout:
        """Return the addresses of a run's files."""
        return self.settings.layout(run_id)


class _Opened:
    """The cached buckets; failures are not cached, because they may be temporary."""

    def __init__(self, open_buckets: Callable[[], Buckets]) -> None:
        self._open = open_buckets
        self._lock = threading.Lock()
        self._buckets: Buckets | None = None

    def get(self) -> Buckets:
        with self._lock:
            if self._buckets is None:
                self._buckets = self._open()
            return self._buckets


def _open_buckets() -> Buckets:
    settings = Settings.from_environment()
    return Buckets(settings, open_store(settings.gcp_conn_id))


_opened = _Opened(_open_buckets)


def get_buckets() -> Buckets:
    """Return the buckets of this environment.

    Raises:
        SettingsError: A CLOUDSEG_* variable is missing or invalid.
        StorageError: There are no credentials for Cloud Storage.
    """
    return _opened.get()


BucketsDep = Annotated[Buckets, Depends(get_buckets)]
"""The buckets of this environment."""
