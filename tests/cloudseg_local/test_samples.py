import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from cloudseg_local.samples import broken_photographs, write_photographs
from cloudseg_local.scenes import make_scene


def test_photographs_come_in_several_formats_sizes_and_modes(tmp_path: Path) -> None:
    paths = write_photographs(tmp_path / "new", 8)
    pictures = [Image.open(path) for path in paths]

    assert [path.name for path in paths[:4]] == ["sky-0000.jpg", "sky-0001.png", "sky-0002.webp", "sky-0003.tif"]
    assert [picture.format for picture in pictures[:4]] == ["JPEG", "PNG", "WEBP", "TIFF"]
    assert {picture.mode for picture in pictures} == {"RGB", "L"}
    assert any(side % 16 for picture in pictures for side in picture.size)
    assert len({picture.size for picture in pictures}) >= 5


def test_first_photograph_is_rotated_by_its_exif_orientation(tmp_path: Path) -> None:
    [path] = write_photographs(tmp_path, 1, seed=9)
    stored = Image.open(path)
    shown = ImageOps.exif_transpose(stored)

    assert stored.size == shown.size[::-1]
    assert shown.width > shown.height
    truth = make_scene(9, *shown.size).image.astype(float)
    assert np.abs(np.asarray(shown, float) - truth).mean() < 6  # JPEG's loss, no more


def test_photographs_are_the_same_each_time(tmp_path: Path) -> None:
    once, twice = write_photographs(tmp_path / "a", 3, seed=4), write_photographs(tmp_path / "b", 3, seed=4)

    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in twice]


@pytest.mark.parametrize("name", sorted(broken_photographs()))
def test_broken_photographs_cannot_be_read(name: str) -> None:
    with pytest.raises(OSError, match=r"truncated|cannot identify"):
        Image.open(io.BytesIO(broken_photographs()[name])).load()
