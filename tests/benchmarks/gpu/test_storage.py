"""The storage stand-in, called by the store and by the engine."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from benchmarks import engine
from benchmarks.emulator import INPUT, OUTPUT, STAGING
from benchmarks.gpu.engine import steady
from benchmarks.gpu.resources import GENERATION, crc32c_of, photo_name
from benchmarks.gpu.serving import Serving, environment, running_storage
from benchmarks.gpu.usage import Sample
from benchmarks.models import open_model
from benchmarks.photographs import open_photographs
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with running_storage([b"first", b"second"], workers=2, latency=0.001, listed=3, kept=2) as started:
        yield started


@pytest.fixture
def store(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", serving.url)
    serving.delete_masks()
    return Store.open()


def test_photographs_repeat_under_any_number_of_names(store: Store) -> None:
    for number, data in ((0, b"first"), (1, b"second"), (1234567, b"second")):
        uri = GcsUri(INPUT, photo_name(number))
        assert store.read(uri, generation=GENERATION, size=len(data)) == data
        info = store.stat(uri)
        assert info
        assert (info.size, info.crc32c, info.generation) == (len(data), crc32c_of(data), GENERATION)


def test_listings(store: Store) -> None:
    assert [info.name for info in store.list_objects(GcsUri(INPUT))] == [photo_name(number) for number in range(3)]
    assert store.stat_many(OUTPUT, ["photo-0000000.jpg.mask.png"]) == {}


def test_masks_are_counted_and_the_first_ones_are_kept(serving: Serving, store: Store) -> None:
    assert not serving.any_mask()
    for number in (0, 1, 2):
        name = f"{photo_name(number)}.mask.png"
        info = store.write(GcsUri(OUTPUT, name), b"mask %d" % number, metadata={"a": "b"}, if_generation_match=0)
        assert (info.name, info.metadata, info.size) == (name, {"a": "b"}, 6)
        assert abs((datetime.now(UTC) - info.updated).total_seconds()) < 10
    assert [name for _, name in serving.masks()] == [f"{photo_name(number)}.mask.png" for number in range(3)]
    assert serving.kept() == {0: b"mask 0", 1: b"mask 1"}


def test_resumable_session_may_reach_several_workers(store: Store) -> None:
    lines = [f"line {number} " + "x" * 1000 for number in range(3000)]
    store.write_lines(GcsUri(STAGING, "results/0.jsonl"), lines)
    assert list(store.read_lines(GcsUri(STAGING, "results/0.jsonl"))) == lines


def test_damaged_uploads_are_rejected(serving: Serving) -> None:
    part = b'--x\r\ncontent-type: application/json\r\n\r\n{"name": "photo-0000000.jpg.mask.png", "crc32c": "AAAAAA=="}'
    answer = requests.post(
        f"{serving.url}/upload/storage/v1/b/{OUTPUT}/o?uploadType=multipart",
        data=part + b"\r\n--x\r\ncontent-type: image/png\r\n\r\nmask\r\n--x--",
        headers={"Content-Type": 'multipart/related; boundary="x"'},
        timeout=10,
    )
    assert answer.status_code == 400
    assert "CRC32C" in answer.text


def test_server_listens_on_loopback_only(serving: Serving) -> None:
    assert serving.url.startswith("http://127.0.0.1:")


@pytest.mark.slow
def test_engine_segments_a_whole_chunk(tmp_path: Path) -> None:
    model = open_model("tiny", tmp_path)
    files = open_photographs("64", 10_000, tmp_path).files()
    with running_storage(files, workers=2, latency=0.005) as storage:
        staged = storage.stage(model, 40)
        command = engine.command(staged, ["--threads", "1"])
        done = subprocess.run(
            command, env=environment(storage), capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stdout
        assert len({name for _, name in storage.masks()}) == 40
        assert len(storage.kept()) == 8
        # Photographs repeat, and their masks do too.
        assert storage.kept()[0] == storage.kept()[len(files)]


def test_steady_rate_is_measured_in_the_second_half() -> None:
    times = [0.0, 1.0, 2.0, 3.0, 3.5, 4.0, 4.5, 5.0]
    usage = [Sample(at, cpu_seconds=2 * at, processes=3, gpu_percent=50, gpu_bytes=7) for at in (0.0, 3.0, 4.0, 5.0)]
    found = steady(times, usage)
    assert found["images_per_second"] == pytest.approx(2.0)
    assert found["cpus"] == pytest.approx(2.0)
    assert found["cpu_seconds_per_image"] == pytest.approx(1.0)
    assert found["by_second"] == [1, 1, 1, 2, 2, 1]
    assert (found["processes"], found["gpu_percent"], found["gpu_peak_bytes"]) == (3, 50, 7)
