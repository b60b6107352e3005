import os
import time
from pathlib import Path

import pytest

from cloudseg_ops.registry.ttl_file_cache import invalidate, ttl_file_cache


class _Source:
    """An expensive function that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        return f"größe {self.calls}"


def test_value_is_reloaded_after_its_time_to_live(tmp_path: Path) -> None:
    source, path = _Source(), tmp_path / "kept"
    assert [ttl_file_cache(path, 60, source) for _ in range(3)] == ["größe 1"] * 3
    os.utime(path, (time.time() - 61, time.time() - 61))
    assert [ttl_file_cache(path, 60, source) for _ in range(2)] == ["größe 2"] * 2
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_invalidated_value_is_reloaded(tmp_path: Path) -> None:
    source, path = _Source(), tmp_path / "kept"
    invalidate(path)
    ttl_file_cache(path, 60, source)
    invalidate(path)
    assert ttl_file_cache(path, 60, source) == "größe 2"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 100_000])
def test_invalid_cache_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kept"
    path.write_bytes(content)
    assert ttl_file_cache(path, 60, _Source()) == "größe 1"
    assert path.read_text(encoding="utf-8") == "größe 1"


def test_cache_file_from_the_future_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("from tomorrow")
    os.utime(path, (time.time() + 86_400, time.time() + 86_400))
    assert ttl_file_cache(path, 60, _Source()) == "größe 1"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_cache_file_of_another_user_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("planted")
    os.chown(path, 12345, 12345)
    assert ttl_file_cache(path, 60, _Source()) == "größe 1"
    assert path.stat().st_uid == 0


def test_symbolic_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    path = tmp_path / "kept"
    path.symlink_to(target)
    assert ttl_file_cache(path, 60, _Source()) == "größe 1"
    assert not target.exists()
    assert not path.is_symlink()


def test_value_is_loaded_each_time_if_it_cannot_be_stored(tmp_path: Path) -> None:
    source = _Source()
    assert [ttl_file_cache(tmp_path / "nowhere" / "kept", 60, source) for _ in range(2)] == ["größe 1", "größe 2"]
