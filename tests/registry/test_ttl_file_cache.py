import os
import time
from pathlib import Path

import pytest

from cloudseg_ops.registry.ttl_file_cache import invalidate, ttl_file_cache


class _Source:
    """Something expensive: counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return f"größe {self.asked}"


def test_it_is_got_once_in_a_while(tmp_path: Path) -> None:
    source, path = _Source(), tmp_path / "kept"
    assert [ttl_file_cache(path, 60, source) for _ in range(3)] == ["größe 1"] * 3
    os.utime(path, (time.time() - 61, time.time() - 61))
    assert [ttl_file_cache(path, 60, source) for _ in range(2)] == ["größe 2"] * 2
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_it_is_got_anew_once_forgotten(tmp_path: Path) -> None:
    source, path = _Source(), tmp_path / "kept"
    invalidate(path)
    ttl_file_cache(path, 60, source)
    invalidate(path)
    assert ttl_file_cache(path, 60, source) == "größe 2"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 100_000])
def test_what_it_cannot_have_written_is_not_believed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kept"
    path.write_bytes(content)
    assert ttl_file_cache(path, 60, _Source()) == "größe 1"
    assert path.read_text(encoding="utf-8") == "größe 1"


def test_a_time_to_come_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("from tomorrow")
    os.utime(path, (time.time() + 86_400, time.time() + 86_400))
    assert ttl_file_cache(path, 60, _Source()) == "größe 1"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_what_another_user_has_laid_there_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("planted")
    os.chown(path, 12345, 12345)
    assert ttl_file_cache(path, 60, _Source()) == "größe 1"
    assert path.stat().st_uid == 0


def test_a_link_that_another_has_laid_there_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    path = tmp_path / "kept"
    path.symlink_to(target)
    assert ttl_file_cache(path, 60, _Source()) == "größe 1"
    assert not target.exists()
    assert not path.is_symlink()


def test_without_a_place_to_keep_it_it_is_got_each_time(tmp_path: Path) -> None:
    source = _Source()
    assert [ttl_file_cache(tmp_path / "nowhere" / "kept", 60, source) for _ in range(2)] == ["größe 1", "größe 2"]
