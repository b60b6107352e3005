import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cloudseg_ops.contracts.overlay import CLOUD_TINT
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.io.preview_writer import render_preview
from cloudseg_ops.report.previews import MAX_PREVIEW_BYTES, MAX_PREVIEWS, read_previews, spread
from cloudseg_ops.storage import Store
from tests.support.report_runs import write_preview


@given(st.integers(0, 3000), st.integers(1, 60))
def test_a_spread_is_even_and_bounded(count: int, most: int) -> None:
    picked = spread(range(count), most)
    assert len(picked) == min(count, most)
    assert picked == sorted(set(picked))
    if picked:
        gaps = [after - before for before, after in zip([*picked], [*picked[1:], count], strict=True)]
        assert picked[0] == 0
        assert max(gaps) <= 4 * max(1, count / most)


def test_previews_are_sorted_by_cloud_fraction(store: Store, layout: RunLayout) -> None:
    write_preview(store, layout, "00000-0.jpg", "b.jpg", 0.9)
    write_preview(store, layout, "00000-1.jpg", "c.jpg", 0.1)
    write_preview(store, layout, "00001-0.jpg", "a.jpg", 0.9)
    previews = read_previews(store, layout)
    assert [(one.name, one.cloud_fraction) for one in previews] == [("c.jpg", 0.1), ("a.jpg", 0.9), ("b.jpg", 0.9)]


def test_previews_are_taken_from_every_chunk(store: Store, layout: RunLayout) -> None:
    for chunk in range(12):
        for number in range(8):
            write_preview(store, layout, f"{chunk:05d}-{number}.jpg", f"{chunk}/{number}.jpg", 0.5)
    previews = read_previews(store, layout)
    assert len(previews) == MAX_PREVIEWS
    assert {one.name.split("/")[0] for one in previews} == {str(chunk) for chunk in range(12)}


@pytest.mark.parametrize("data", [b"<script>alert(1)</script>", b"\xff\xd8\xff" + b"\0" * MAX_PREVIEW_BYTES])
def test_invalid_images_are_omitted(store: Store, layout: RunLayout, data: bytes) -> None:
    write_preview(store, layout, "00000-0.jpg", "a.jpg", 0.5, data=data)
    assert read_previews(store, layout) == []


def test_previews_without_provenance_are_omitted(store: Store, layout: RunLayout) -> None:
    store.write(layout.previews_folder / "00000-0.jpg", b"\xff\xd8\xff")
    assert read_previews(store, layout) == []


def test_large_previews_are_compressed_further(store: Store, layout: RunLayout) -> None:
    rng = np.random.default_rng(1)
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (320, 640, 3), np.uint8)).save(stream, "JPEG", quality=85)
    assert len(stream.getvalue()) > MAX_PREVIEW_BYTES
    write_preview(store, layout, "00000-0.jpg", "a.jpg", 0.5, data=stream.getvalue())
    (preview,) = read_previews(store, layout)
    assert len(preview.jpeg) <= MAX_PREVIEW_BYTES
    assert Image.open(io.BytesIO(preview.jpeg)).size in {(640, 320), (480, 240)}


def test_legend_has_the_color_of_the_engines_previews() -> None:
    classes = np.zeros((320, 320), np.uint8)
    classes[80:240, 80:240] = 1
    jpeg = render_preview(DecodedImage(np.zeros((320, 320, 3), np.uint8)), classes)
    overlay = np.asarray(Image.open(io.BytesIO(jpeg)))[:, -320:].astype(float)
    seen = overlay[160, 160] / overlay[160, 160].max()
    tint = np.array([int(CLOUD_TINT[at : at + 2], 16) for at in (1, 3, 5)], float)
    assert np.abs(seen - tint / tint.max()).max() < 0.05
