"""Fixtures shared by the storage tests, and a check that every requested fault occurred."""

import gc
from collections.abc import Callable, Iterator

import pytest
from google.cloud.storage import retry as storage_retry

from cloudseg_ops.contracts.uris import GcsUri
from gcs_emulator import Emulator
from tests.conftest import Buckets

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _no_faults_left(emulator: Emulator) -> Iterator[None]:
    yield
    pending = emulator.faults.pending()
    emulator.faults.clear()
    assert pending == [], "a requested fault never occurred, so the test did not test it"


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Collect garbage only when the test does so; otherwise it could happen in the emulator's thread."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def uri(buckets: Buckets) -> GcsUri:
    return GcsUri(buckets.staging, "a folder/Größe 1#2?.jsonl")


class Counter:
    """Counts the emulator's calls since its creation."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._before = emulator.calls()

    def __getitem__(self, call: str) -> int:
        return self._emulator.calls().get(call, 0) - self._before.get(call, 0)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry after some milliseconds instead of a second."""
    quick = storage_retry.DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.05)
    monkeypatch.setattr(storage_retry, "DEFAULT_RETRY", quick)


@pytest.fixture
def retry_seconds(monkeypatch: pytest.MonkeyPatch, quick_retries: None) -> Callable[[float], None]:
    """Set how long calls are retried; two minutes by default."""

    def limit(seconds: float) -> None:
        monkeypatch.setattr(storage_retry, "DEFAULT_RETRY", storage_retry.DEFAULT_RETRY.with_timeout(seconds))

    return limit
