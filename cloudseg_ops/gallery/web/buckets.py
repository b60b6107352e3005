"""The API server's way to the buckets: settings and one store, made when first needed."""

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
    """Where cloudseg keeps its runs.

    Attributes:
        settings: The environment's settings.
        store: Cloud Storage.
    """

    settings: Settings
    store: Store

    def layout(self, run_id: str) -> RunLayout:
        """Where the files of a run lie."""
        return self.settings.layout(run_id)


class _Opened:
    """The buckets, once they could be opened; a failure is not cached, because it may be fixed."""

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
    """Give the buckets of this environment.

    Raises:
        SettingsError: A CLOUDSEG_* variable is missing or wrong.
        StorageError: There is no identity to reach Cloud Storage with.
    """
    return _opened.get()


BucketsDep = Annotated[Buckets, Depends(get_buckets)]
"""The buckets of this environment."""
