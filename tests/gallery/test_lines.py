import pytest

from cloudseg_ops.contracts.errors import GalleryError
from cloudseg_ops.contracts.preview_names import image_key
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.gallery.cursor import Cursor
from cloudseg_ops.gallery.filters import Filter
from cloudseg_ops.gallery.lines import read_result
from cloudseg_ops.gallery.overview import read_overview
from cloudseg_ops.gallery.searching import find_images
from cloudseg_ops.storage import Store
from tests.gallery.runs import made_up, write_plan, write_results


def test_an_image_is_found_again_by_its_place(store: Store, layout: RunLayout) -> None:
    write_plan(store, layout, 2)
    results = [made_up("a.jpg", 0.1), made_up("größe.jpg", 0.2)]
    write_results(store, layout, 0, results)
    entries = find_images(store, read_overview(store, layout), Filter(), Cursor()).entries
    assert [read_result(store, layout, 0, entry.offset, entry.key) for entry in entries] == results


@pytest.mark.parametrize("offset", [1, 5, 10_000, 10**15])
def test_elsewhere_there_is_no_image(store: Store, layout: RunLayout, offset: int) -> None:
    write_results(store, layout, 0, [made_up("a.jpg")])
    with pytest.raises(GalleryError, match="no such image"):
        read_result(store, layout, 0, offset, image_key("a.jpg", 7))


def test_another_image_in_that_place_is_not_given(store: Store, layout: RunLayout) -> None:
    write_results(store, layout, 0, [made_up("b.jpg")])
    with pytest.raises(GalleryError, match="rewritten its results"):
        read_result(store, layout, 0, 0, image_key("a.jpg", 7))


def test_a_chunk_without_results_has_no_image(store: Store, layout: RunLayout) -> None:
    with pytest.raises(GalleryError, match="no such image"):
        read_result(store, layout, 4, 0, image_key("a.jpg", 7))
