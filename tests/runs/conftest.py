"""Fixtures shared by the tests of runs."""

from collections.abc import Callable, Iterable, Iterator

import pytest
from google.cloud.storage.retry import DEFAULT_RETRY

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import AfterSuccess
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.cleanup import clean_inputs
from cloudseg_ops.runs.cleanup_result import Cleaned
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from tests.conftest import Buckets
from tests.support.samples import (
    DIGEST,
    put_input,
    put_mask,
    source_of,
)


@pytest.fixture(autouse=True)
def _no_faults_left(emulator: Emulator) -> Iterator[None]:
    yield
    emulator.faults.clear()


@pytest.fixture
def clean(store: Store, buckets: Buckets) -> Callable[..., dict[str, int]]:
    def call(
        inputs: Iterable[InputObject], after_success: AfterSuccess = "delete", *, by: Store = store
    ) -> dict[str, int]:
        counts = clean_inputs(
            by,
            inputs,
            input_bucket=buckets.input,
            output_bucket=buckets.output,
            model_digest=DIGEST,
            after_success=after_success,
        ).counts
        assert set(counts) == {fate.value for fate in Cleaned}
        return {fate: count for fate, count in counts.items() if count}

    return call


@pytest.fixture
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries that end after a fifth of a second instead of two minutes."""
    monkeypatch.setattr("google.cloud.storage.retry.DEFAULT_RETRY", DEFAULT_RETRY.with_timeout(0.2))


@pytest.fixture
def masked(store: Store, buckets: Buckets) -> Callable[[str], InputObject]:
    def put(name: str) -> InputObject:
        version = put_input(store, buckets.input, name, f"photograph {name}".encode())
        put_mask(store, buckets.output, source_of(version, buckets.input))
        return version

    return put


def generation_of(store: Store, bucket: str, name: str) -> int | None:
    found = store.stat(GcsUri(bucket, name))
    return found.generation if found else None
