import base64
import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report import write_report
from cloudseg_ops.report.chunks import Reading
from cloudseg_ops.report.previews import MAX_PREVIEW_BYTES, MAX_PREVIEWS
from cloudseg_ops.report.summary import summarize
from cloudseg_ops.report.tiles import make_tiles
from cloudseg_ops.storage import Store
from tests.support.report_runs import done, facts_of, page, picture, planned, quarantined, write_chunk, write_preview

_HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>.jpg"


class _Page(HTMLParser):
    """Tags, attributes, texts and styles of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.style = ""
        self._in_style = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.style += data
        elif data.strip():
            self.texts.append(data.strip())

    def values(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]


def _written(store: Store, layout: RunLayout) -> _Page:
    return _Page(page(store, layout))


@pytest.fixture
def hostile(store: Store, layout: RunLayout) -> _Page:
    write_chunk(store, layout, 0, [done(_HOSTILE), quarantined("q" + _HOSTILE, "r" + _HOSTILE), "bad " + _HOSTILE])
    write_preview(store, layout, "00000-0.jpg", _HOSTILE, 0.5)
    write_report(store, layout, facts_of(layout, planned(layout, 3), lost=["l" + _HOSTILE], started=_HOSTILE))
    return _written(store, layout)


def test_names_and_reasons_are_escaped(hostile: _Page) -> None:
    assert hostile.tags.count("img") == 1
    assert not {"script", "iframe", "object", "link", "base", "form", "a"} & set(hostile.tags)
    assert not [name for name, _ in hostile.attributes if name.startswith("on") or name in ("style", "href")]
    for name in (_HOSTILE, "q" + _HOSTILE, "r" + _HOSTILE, "l" + _HOSTILE):
        assert name in hostile.texts


def test_csp_allows_only_the_inline_style_and_images(hostile: _Page) -> None:
    (policy,) = [value for value in hostile.values("content") if "default-src" in value]
    digest = base64.b64encode(hashlib.sha256(hostile.style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_csp_precedes_the_style(hostile: _Page) -> None:
    assert hostile.tags.index("meta") < hostile.tags.index("style")


def test_page_fetches_nothing(hostile: _Page) -> None:
    assert all(value.startswith("data:image/jpeg;base64,") for value in hostile.values("src"))
    assert "url(" not in hostile.style
    assert "@import" not in hostile.style
    (source,) = hostile.values("src")
    assert base64.b64decode(source.partition(",")[2]) == picture()


def test_good_run_has_a_good_verdict(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg", 0.25), done("b.jpg", 0.75)])
    write_report(store, layout, facts_of(layout, planned(layout, 2)))
    found = _written(store, layout)
    assert "verdict good" in found.values("class")
    for text in ("Every input accounted for", "0123456789ab", "d41d8cd98f00b204e9800998ecf8427e", "v2", "mean 50 %"):
        assert text in found.texts
    assert "Quarantined" not in found.texts


@pytest.mark.parametrize(
    ("changes", "style", "headline"),
    [
        ({"lost": ["a.jpg#7"]}, "verdict bad", "1 input lost"),
        ({}, "verdict attention", "1 of 2 chunks unfinished"),
    ],
)
def test_lost_inputs_and_unfinished_chunks_are_in_the_headline(
    store: Store, layout: RunLayout, changes: dict[str, list[str]], style: str, headline: str
) -> None:
    write_chunk(store, layout, 0, [done("a.jpg")])
    write_report(store, layout, facts_of(layout, planned(layout, 1, 1), **changes))
    found = _written(store, layout)
    assert style in found.values("class")
    assert headline in found.texts
    assert found.values("class").count("unfinished") == 1


def test_long_quarantine_list_is_truncated_with_a_count(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [quarantined(f"{number:04}.jpg", "no image") for number in range(1234)])
    write_report(store, layout, facts_of(layout, planned(layout, 1234)))
    found = _written(store, layout)
    assert [text for text in found.texts if text.endswith(".jpg")] == [f"{number:04}.jpg" for number in range(200)]
    assert "and 1,034 more in report.json" in found.texts


@pytest.mark.parametrize(("count", "line"), [(0, ""), (1, "1 photograph uses less"), (2, "2 photographs use less")])
def test_low_range_photographs_are_counted(store: Store, layout: RunLayout, count: int, line: str) -> None:
    dark = [replace(done(f"dark{number}.tif"), range_used=0.0625) for number in range(count)]
    write_chunk(store, layout, 0, [*dark, done("fine.tif")])
    report = write_report(store, layout, facts_of(layout, planned(layout, count + 1)))
    assert report.head["low_range"] == count
    texts = [text for text in _written(store, layout).texts if "16-bit range" in text]
    assert [line in text for text in texts] == ([True] if line else [])
    images = json.loads(store.read(layout.report_json))["images"]
    assert [image.get("range_used") for image in images] == [0.0625] * count + [None]
    assert "range_used" not in images[-1]


def test_complete_chunks_are_collapsed_if_there_are_many(store: Store, layout: RunLayout) -> None:
    for index in range(20):
        write_chunk(store, layout, index, [done(f"{index}.jpg")], complete=index != 7)
    write_report(store, layout, facts_of(layout, planned(layout, *[1] * 20)))
    found = _written(store, layout)
    assert "19 complete chunks" in found.texts
    assert found.texts.index("00007") < found.texts.index("19 complete chunks") < found.texts.index("00000")


def test_page_size_is_bounded(store: Store, layout: RunLayout) -> None:
    large = picture() + b"\0" * (MAX_PREVIEW_BYTES - len(picture()))
    for number in range(60):
        write_preview(store, layout, f"00000-{number:02}.jpg", f"{number}.jpg", number / 60, data=large)
    write_chunk(store, layout, 0, [quarantined(f"{number}.jpg", "x" * 1000) for number in range(400)])
    write_report(store, layout, facts_of(layout, planned(layout, 400)))
    html = page(store, layout)
    assert len(_Page(html).values("src")) == MAX_PREVIEWS
    assert len(html.encode()) < MAX_PREVIEWS * MAX_PREVIEW_BYTES * 4 / 3 + 500_000


@pytest.mark.parametrize(
    ("after_success", "places", "proven", "tile"),
    [
        ("delete", {"input": 4, "masked": 6}, 4, ("left in INPUT", "4", "4 not deleted")),
        ("delete", {"input": 4, "masked": 6}, 1, ("left in INPUT", "4", "3 for the next run, 1 not deleted")),
        ("keep", {"input": 10}, 9, ("in INPUT", "10", "9 kept, 1 for the next run")),
        ("delete", {"masked": 10}, 0, ("left in INPUT", "0", "as expected")),
    ],
)
def test_input_tile_agrees_with_the_places(
    layout: RunLayout, after_success: str, places: dict[str, int], proven: int, tile: tuple[str, str, str]
) -> None:
    facts = facts_of(layout, planned(layout, 10), places=places, proven=proven, after_success=after_success)
    reading = Reading()
    tiles = make_tiles(summarize(layout, facts, reading), facts, reading)
    assert [(found.label, found.value, found.note) for found in tiles if "INPUT" in found.label] == [tile]
