import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cloudseg_local.compose.prepare import BUCKETS, prepare_database, prepare_registry, prepare_storage
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET, STAGING_BUCKET
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, start_emulator
from tests.support.samples import names_in


@pytest.fixture
def messages() -> list[str]:
    return []


@pytest.fixture
def empty() -> Iterator[Emulator]:
    """A separate emulator: the buckets of a setup have fixed names."""
    with start_emulator() as running:
        yield running


def test_empty_setup_gets_buckets_and_photographs(empty: Emulator, messages: list[str]) -> None:
    prepare_storage(empty.url, 3, messages.append)
    store = Store(empty.client())
    assert names_in(store, INPUT_BUCKET) == [
        "broken/broken-text.png",
        "broken/broken-truncated.jpg",
        "sky-0000.jpg",
        "sky-0001.png",
        "sky-0002.webp",
    ]
    assert [names_in(store, bucket) for bucket in BUCKETS[1:]] == [[], []]
    assert messages[-1].startswith("5 photographs")


@pytest.mark.parametrize("bucket", [INPUT_BUCKET, OUTPUT_BUCKET, STAGING_BUCKET])
def test_used_setup_gets_no_photographs(empty: Emulator, messages: list[str], bucket: str) -> None:
    prepare_storage(empty.url, 0, messages.append)
    store = Store(empty.client())
    assert names_in(store, INPUT_BUCKET) == []
    store.write(GcsUri(bucket, "mine"), b"mine")
    prepare_storage(empty.url, 3, messages.append)
    assert sorted(name for each in BUCKETS for name in names_in(store, each)) == ["mine"]


def test_registry_is_built_once(tmp_path: Path, messages: list[str]) -> None:
    def commits() -> str:
        command = ["git", "-C", str(tmp_path / "registry"), "log", "--format=%H %D"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    prepare_registry(tmp_path, messages.append)
    first = commits()
    assert "tag: v1" in first
    assert "tag: v2" in first
    assert list((tmp_path / "registry-remote").rglob("*"))
    prepare_registry(tmp_path, messages.append)
    assert commits() == first


@pytest.mark.slow
def test_database_and_pool_are_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, messages: list[str]) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    for _ in range(2):
        prepare_database("chunks", 3, messages.append)
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as database:
        found = database.execute("SELECT slots, include_deferred FROM slot_pool WHERE pool = 'chunks'").fetchall()
    assert found == [(3, 1)]


@pytest.mark.slow
def test_unreachable_database_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, messages: list[str]) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path}/nowhere/airflow.db")
    with pytest.raises(LocalError, match=r"`airflow db migrate` ended with exit code \d+; .* `docker compose up`"):
        prepare_database("chunks", 3, messages.append)
