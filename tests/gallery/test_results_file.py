import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.contracts.run_layout import RunLayout, image_key
from cloudseg_ops.gallery.errors import GalleryError
from cloudseg_ops.gallery.filters import Filter
from cloudseg_ops.gallery.overview import read_overview
from cloudseg_ops.gallery.results_file import Cursor, read_result
from cloudseg_ops.gallery.searching import find_images
from cloudseg_ops.storage import Store
from tests.gallery.runs import made_up, write_plan, write_results


def test_image_is_read_by_its_offset(store: Store, layout: RunLayout) -> None:
    write_plan(store, layout, 2)
    results = [made_up("a.jpg", 0.1), made_up("größe.jpg", 0.2)]
    write_results(store, layout, 0, results)
    entries = find_images(store, read_overview(store, layout), Filter(), Cursor()).entries
    assert [read_result(store, layout, 0, entry.offset, entry.key) for entry in entries] == results


@pytest.mark.parametrize("offset", [1, 5, 10_000, 10**15])
def test_other_offset_has_no_image(store: Store, layout: RunLayout, offset: int) -> None:
    write_results(store, layout, 0, [made_up("a.jpg")])
    with pytest.raises(GalleryError, match="no such image"):
        read_result(store, layout, 0, offset, image_key("a.jpg", 7))


def test_other_image_at_that_offset_is_rejected(store: Store, layout: RunLayout) -> None:
    write_results(store, layout, 0, [made_up("b.jpg")])
    with pytest.raises(GalleryError, match="rewritten its results"):
        read_result(store, layout, 0, 0, image_key("a.jpg", 7))


def test_chunk_without_results_has_no_image(store: Store, layout: RunLayout) -> None:
    with pytest.raises(GalleryError, match="no such image"):
        read_result(store, layout, 4, 0, image_key("a.jpg", 7))


@given(st.integers(0, 99_999), st.integers(0, 10**15 - 1), st.integers(0, 10**19 - 1))
def test_cursor_round_trip(chunk: int, offset: int, generation: int) -> None:
    cursor = Cursor(chunk, offset, generation)
    assert Cursor.parse(str(cursor)) == cursor


def test_empty_cursor_is_the_beginning() -> None:
    assert Cursor.parse("") == Cursor(0, 0, 0)


@pytest.mark.parametrize(
    "text", ["1", "1-2", "1-2-3-4", "-1-2-3", "1-2-x", "1-2-3\n", "٣-1-1", "<b>-1-1", "../1-1-1", "9" * 30 + "-1-1"]
)
def test_invalid_cursor_is_rejected(text: str) -> None:
    with pytest.raises(GalleryError, match="not a position in the gallery"):
        Cursor.parse(text)
