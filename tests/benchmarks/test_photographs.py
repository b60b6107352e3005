import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.photographs import LARGE, encode_to, open_photographs, pad_jpeg, sizes_for
from tests.support.lab import noise


def jpeg(width: int = 40, height: int = 30) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(noise(width, height)).save(stream, "JPEG")
    return stream.getvalue()


def pixels(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("more", [4, 5, 7, 8, 100, 65536, 65537, 65538, 65540, 65541, 65545, 1_000_003])
def test_padding_is_exact_and_keeps_all_pixels(more: int) -> None:
    data = jpeg()
    padded = pad_jpeg(data, len(data) + more)
    assert len(padded) == len(data) + more
    assert (pixels(padded) == pixels(data)).all()


@pytest.mark.parametrize("more", [-10, 0, 3])
def test_jpeg_that_cannot_be_padded_is_unchanged(more: int) -> None:
    data = jpeg()
    assert pad_jpeg(data, len(data) + more) == data


def test_best_quality_that_fits_is_chosen() -> None:
    picture = Image.fromarray(noise(200, 200))
    small, large = encode_to(picture, 20_000), encode_to(picture, 60_000)
    assert len(small) <= 20_000 < len(large) <= 60_000
    # Noise does not compress: if no quality fits, the lowest is used.
    assert len(encode_to(picture, 10)) > 10


def test_mixed_sizes_are_large_for_large_files() -> None:
    assert sizes_for("mixed", 5_000_000) == LARGE
    assert len(set(sizes_for("mixed", 50_000))) > 4
    assert set(sizes_for("256", 5_000_000)) == {(256, 256)}


def test_set_is_made_once_or_from_a_folder(tmp_path: Path) -> None:
    made = open_photographs("256", 50_000, tmp_path)
    assert made.uniform
    files = made.files()
    assert {len(data) for data in files} == {50_000}
    assert len(files) == made.count == len(set(files))
    times = {path: path.stat().st_mtime_ns for path in made.folder.iterdir()}
    again = open_photographs("256", 50_000, tmp_path)
    assert again == made
    assert {path: path.stat().st_mtime_ns for path in made.folder.iterdir()} == times

    own = tmp_path / "own"
    own.mkdir()
    Image.new("RGB", (400, 300), (10, 200, 30)).save(own / "green.jpg")
    cut = open_photographs("256", 50_000, tmp_path, own)
    assert cut.folder != made.folder
    picture = pixels(cut.files()[0])
    assert picture.shape == (256, 256, 3)
    assert picture[128, 128].tolist() == pytest.approx([10, 200, 30], abs=4)
