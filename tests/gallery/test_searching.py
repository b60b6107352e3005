"""Paging: every image is on exactly one page, with bounded reads and memory."""

import tracemalloc
from collections.abc import Iterator

import pytest

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.gallery.filters import Filter
from cloudseg_ops.gallery.overview import read_overview
from cloudseg_ops.gallery.results_file import PIECE_BYTES, Cursor
from cloudseg_ops.gallery.searching import MAX_LINES, Found, find_images
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from tests.gallery.runs import failed, made_up, write_plan, write_results
from tests.storage.conftest import Counter

ALL = Filter()


def pages(store: Store, layout: RunLayout, wanted: Filter = ALL, **limits: int) -> Iterator[Found]:
    cursor: Cursor | None = Cursor()
    while cursor is not None:
        found = find_images(store, read_overview(store, layout), wanted, cursor, **limits)
        yield found
        cursor = found.following


def names(found: Found) -> list[str]:
    return [entry.result.source.name for entry in found.entries]


@pytest.mark.parametrize("page", [1, 2, 3, 6, 7, 100])
def test_every_image_is_on_exactly_one_page(store: Store, layout: RunLayout, page: int) -> None:
    write_plan(store, layout, 3, 1, 2)
    write_results(store, layout, 0, [made_up(f"größe {number}.jpg") for number in range(3)])
    write_results(store, layout, 1, [made_up("b.jpg")])
    write_results(store, layout, 2, [made_up(f"c/{number}.jpg") for number in range(2)])
    found = list(pages(store, layout, page=page))
    assert [name for one in found for name in names(one)] == [
        "größe 0.jpg", "größe 1.jpg", "größe 2.jpg", "b.jpg", "c/0.jpg", "c/1.jpg",
    ]  # fmt: skip
    assert all(len(one.entries) == page for one in found[:-1])
    assert found[-1].entries


def test_lines_can_span_several_reads(store: Store, layout: RunLayout) -> None:
    long = "ü" * 300
    results = [made_up(f"{number:05d}-{long}.jpg") for number in range(700)]
    write_plan(store, layout, 700)
    write_results(store, layout, 0, results)
    info = store.stat(layout.results(0))
    assert info
    assert info.size > 3 * PIECE_BYTES
    found = [name for one in pages(store, layout, page=50) for name in names(one)]
    assert found == [result.source.name for result in results]


def test_page_reads_only_the_chunks_it_shows(store: Store, layout: RunLayout, emulator: Emulator) -> None:
    write_plan(store, layout, *[5] * 50)
    for chunk in range(50):
        write_results(store, layout, chunk, [made_up(f"{chunk}-{number}.jpg") for number in range(5)])
    overview = read_overview(store, layout)
    calls = Counter(emulator)
    found = find_images(store, overview, ALL, Cursor(30), page=10)
    assert names(found)[0] == "30-0.jpg"
    assert calls["objects.download"] <= 3


def test_search_stops_at_the_line_limit_and_resumes_there(store: Store, layout: RunLayout) -> None:
    write_plan(store, layout, 40, 40)
    for chunk in range(2):
        write_results(store, layout, chunk, [made_up(f"{chunk}-{number}.jpg") for number in range(40)])
    bad = failed(InputObject("bad.jpg", 7, 9, "AAAAAA=="), Outcome.QUARANTINED, "no image")
    write_results(store, layout, 1, [*(made_up(f"1-{number}.jpg") for number in range(39)), bad])
    found = list(pages(store, layout, Filter(kind="quarantined"), max_lines=30))
    assert [one.searched for one in found] == [30, 30, 20]
    assert [names(one) for one in found] == [[], [], ["bad.jpg"]]


def test_filter_by_chunk(store: Store, layout: RunLayout) -> None:
    write_plan(store, layout, 2, 2)
    for chunk in range(2):
        write_results(store, layout, chunk, [made_up(f"{chunk}-{number}.jpg") for number in range(2)])
    (found,) = pages(store, layout, Filter(chunk=1))
    assert (names(found), found.searched) == (["1-0.jpg", "1-1.jpg"], 2)


def test_chunks_without_results_are_skipped(store: Store, layout: RunLayout) -> None:
    write_plan(store, layout, 1, 1, 1)
    write_results(store, layout, 2, [made_up("c.jpg")])
    overview = read_overview(store, layout)
    assert [chunk.index for chunk in overview.waiting] == [0, 1]
    assert names(find_images(store, overview, ALL, Cursor())) == ["c.jpg"]


def test_rewritten_results_are_shown_from_the_start_with_a_note(store: Store, layout: RunLayout) -> None:
    write_plan(store, layout, 3)
    write_results(store, layout, 0, [made_up("a.jpg"), made_up("c.jpg")], complete=False)
    first = find_images(store, read_overview(store, layout), ALL, Cursor(), page=1)
    assert first.following
    write_results(store, layout, 0, [made_up("a.jpg"), made_up("b.jpg"), made_up("c.jpg")])
    second = find_images(store, read_overview(store, layout), ALL, first.following)
    assert names(second) == ["a.jpg", "b.jpg", "c.jpg"]
    assert "rewritten since the previous page" in second.notes[0]


def test_results_replaced_during_reading_are_noted(store: Store, layout: RunLayout) -> None:
    write_plan(store, layout, 1, 1)
    write_results(store, layout, 0, [made_up("a.jpg")])
    write_results(store, layout, 1, [made_up("b.jpg")])
    overview = read_overview(store, layout)
    write_results(store, layout, 0, [made_up("a.jpg")])
    found = find_images(store, overview, ALL, Cursor())
    assert names(found) == ["b.jpg"]
    assert found.notes == ["The results of chunk 0 are being rewritten; load the page again."]


@pytest.mark.parametrize("line", [b"not json", b'{"name": "a.jpg"}', b"\xff\xfe", b"[]", b"null"])
def test_damaged_line_hides_only_itself(store: Store, layout: RunLayout, line: bytes) -> None:
    write_plan(store, layout, 3)
    write_results(store, layout, 0, [made_up("a.jpg"), line, made_up("b.jpg")])
    (found,) = pages(store, layout)
    assert names(found) == ["a.jpg", "b.jpg"]
    assert found.notes[0].startswith("The results of chunk 0 have 1 invalid line;")


def test_endless_line_stops_only_its_chunk(store: Store, layout: RunLayout) -> None:
    write_plan(store, layout, 1, 1)
    store.write(layout.results(0), b"x" * (4 * PIECE_BYTES))
    write_results(store, layout, 1, [made_up("b.jpg")])
    (found,) = pages(store, layout)
    assert names(found) == ["b.jpg"]
    assert "is too long" in found.notes[0]


@pytest.mark.slow
def test_a_hundred_thousand_images_are_paged_in_bounded_memory(store: Store, layout: RunLayout) -> None:
    write_plan(store, layout, *[500] * 200)
    for chunk in range(200):
        write_results(
            store,
            layout,
            chunk,
            [made_up(f"station/{chunk:03d}/{number:03d}.jpg", number / 500) for number in range(500)],
        )
    overview = read_overview(store, layout)
    assert overview.objects == 100_000
    tracemalloc.start()
    searched, cursor = 0, Cursor()
    # There is no match: every line is read.
    while True:
        found = find_images(store, overview, Filter(kind="masked", least=99.9, most=99.95), cursor)
        searched += found.searched
        assert found.searched <= MAX_LINES
        if found.following is None:
            break
        cursor = found.following
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert searched == 100_000
    # The results have about 20 MB.
    assert peak < 6_000_000
