"""The emulator's pages, as a browser requests them."""

import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.links.addresses import emulator_buckets, emulator_content, emulator_folder, emulator_object
from cloudseg_ops.report import write_report
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from gcs_emulator.pages import PAGE_ENTRIES
from tests.conftest import Buckets
from tests.support import tiny
from tests.support.report_runs import done, facts_of, planned, write_chunk

SCRIPT = "<script>alert(1)</script>"
HOSTILE = [
    f'a/"><{SCRIPT}.jpg', "a/b c+d&e=f?g#h%2F%.jpg", "a/../../../../etc/passwd", "größe/☁.png", "a//b", "/a/b",
    "a/{{ 7*7 }}", "a/javascript:alert(1)", "x/content", "a/" + "x" * 1000,
]  # fmt: skip


class _Links(HTMLParser):
    """Collects the links, images and elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.sources: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        given = dict(attrs)
        if tag == "a":
            self.hrefs.append(str(given["href"]))
        if tag == "img":
            self.sources.append(str(given["src"]))


def _get(emulator: Emulator, address: str, status: int = 200) -> requests.Response:
    answer = requests.get(urljoin(emulator.url, address), timeout=10)
    assert answer.status_code == status, answer.text
    return answer


def _walk(emulator: Emulator, bucket: str) -> dict[str, requests.Response]:
    """Follow every link from a bucket's page, within the bucket."""
    start = emulator_folder(GcsUri(bucket))
    seen: dict[str, requests.Response] = {}
    waiting = [start]
    while waiting:
        address = waiting.pop()
        if address not in seen:
            seen[address] = _get(emulator, address)
            if not address.endswith("/content"):
                waiting += [href for href in _Links(seen[address].text).hrefs if href.startswith(start)]
    return seen


def test_every_object_is_reachable_from_the_bucket_list(emulator: Emulator, store: Store, buckets: Buckets) -> None:
    contents = {name: name.encode() for name in HOSTILE}
    for name, data in contents.items():
        store.write(GcsUri(buckets.input, name), data, content_type="text/html", metadata={"from": SCRIPT})
    assert emulator_folder(GcsUri(buckets.input)) in _Links(_get(emulator, emulator_buckets()).text).hrefs
    seen = _walk(emulator, buckets.input)
    for name, data in contents.items():
        uri = GcsUri(buckets.input, name)
        assert seen[emulator_content(uri)].content == data
        assert f"gs://{buckets.input}/{name}" in unescape(seen[emulator_object(uri)].text)


def test_names_and_metadata_are_escaped(emulator: Emulator, store: Store, buckets: Buckets) -> None:
    for name in HOSTILE:
        store.write(GcsUri(buckets.input, name), b"x", content_type="x/y", metadata={"m": f'"{SCRIPT}'})
    for address, answer in _walk(emulator, buckets.input).items():
        if address.endswith("/content"):
            continue
        found = _Links(answer.text)
        assert found.elements <= {
            "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "a", "bdi", "span", "h1",
            "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd",
        }  # fmt: skip
        assert not {name for name in found.attributes if name.startswith("on")}
        assert all(href.startswith("/_emulator/browse") for href in found.hrefs)


@pytest.mark.parametrize("page", ["buckets", "folder", "object"])
def test_page_allows_no_scripts_or_external_resources(
    emulator: Emulator, store: Store, buckets: Buckets, page: str
) -> None:
    uri = GcsUri(buckets.output, "a.png")
    store.write(uri, b"x")
    address = {"buckets": emulator_buckets(), "folder": emulator_folder(uri), "object": emulator_object(uri)}[page]
    headers = _get(emulator, address).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "'self'"
    assert "script-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "text/html; charset=utf-8"


def test_policy_allows_the_style_of_the_page(emulator: Emulator) -> None:
    import base64
    import hashlib

    answer = _get(emulator, emulator_buckets())
    style = re.search(r"<style>(.*)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("route", ["content", "alt=media", "download"])
def test_stored_html_is_sandboxed_on_every_route(
    emulator: Emulator, store: Store, buckets: Buckets, route: str
) -> None:
    uri = GcsUri(buckets.input, "page.html")
    store.write(uri, f"<html>{SCRIPT}</html>".encode(), content_type="text/html")
    address = {
        "content": emulator_content(uri),
        "alt=media": f"/storage/v1/b/{buckets.input}/o/page.html?alt=media",
        "download": f"/download/storage/v1/b/{buckets.input}/o/page.html?alt=media",
    }[route]
    headers = _get(emulator, address).headers
    directives = [part.strip() for part in headers["Content-Security-Policy"].split(";")]
    # Without values: no scripts, no forms, and a separate origin.
    assert directives[0] == "sandbox"
    assert "default-src 'none'" in directives
    assert not any(part.startswith("script-src") for part in directives)
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_report_is_shown_within_the_sandbox(emulator: Emulator, store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg")])
    report = write_report(store, layout, facts_of(layout, planned(layout, 1)))
    answer = _get(emulator, emulator_content(report.html_uri))
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Content-Disposition" not in answer.headers
    found = _Links(answer.text)
    # The sandbox allows what the report needs: inline style and data images.
    assert not {"script", "form", "iframe", "object", "link"} & found.elements
    assert all(source.startswith("data:") for source in found.sources)
    policy = answer.headers["Content-Security-Policy"]
    assert "style-src 'unsafe-inline'" in policy
    assert "img-src data:" in policy


def test_mask_is_shown_as_an_image(emulator: Emulator, store: Store, buckets: Buckets) -> None:
    uri = GcsUri(buckets.output, "2026/a b.jpg.mask.png")
    store.write(uri, tiny.photograph(1, 8, 6), content_type="image/png", metadata={"cloudseg-run-id": "r1"})
    page = _get(emulator, emulator_object(uri)).text
    (source,) = _Links(page).sources
    picture = _get(emulator, source)
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert "cloudseg-run-id" in page
    assert "r1" in page


def test_other_content_types_are_not_shown_as_images(emulator: Emulator, store: Store, buckets: Buckets) -> None:
    for content_type in ("image/svg+xml", "text/html", "image/tiff"):
        uri = GcsUri(buckets.output, "a")
        store.write(uri, b"x", content_type=content_type)
        assert _Links(_get(emulator, emulator_object(uri)).text).sources == []


def test_large_folder_is_paged(emulator: Emulator, store: Store, buckets: Buckets) -> None:
    names = [f"many/{number:04}" for number in range(PAGE_ENTRIES + 1)] + ["many/z/1", "many/z/2"]
    for name in names:
        store.write(GcsUri(buckets.staging, name), b"")
    first = _Links(_get(emulator, emulator_folder(GcsUri(buckets.staging, "many/"))).text).hrefs
    (more,) = [href for href in first if "pageToken=" in href]
    second = _Links(_get(emulator, more).text).hrefs
    assert not [href for href in second if "pageToken=" in href]
    shown = [href for href in [*first, *second] if href.startswith(f"/_emulator/browse/{buckets.staging}/")]
    assert shown == [emulator_object(GcsUri(buckets.staging, name)) for name in names[: PAGE_ENTRIES + 1]]
    assert emulator_folder(GcsUri(buckets.staging, "many/z/")) in second


def test_breadcrumbs_lead_to_the_parents(emulator: Emulator, store: Store, buckets: Buckets) -> None:
    uri = GcsUri(buckets.input, "2026/08/a.jpg")
    store.write(uri, b"")
    hrefs = _Links(_get(emulator, emulator_object(uri)).text).hrefs
    assert hrefs[:5] == [
        emulator_buckets(),
        emulator_folder(GcsUri(buckets.input)),
        emulator_folder(GcsUri(buckets.input, "2026/")),
        emulator_folder(GcsUri(buckets.input, "2026/08/")),
        emulator_object(uri),
    ]


@pytest.mark.parametrize("path", ["nowhere-1", "nowhere-1/a", "nowhere-1/a/content", "{input}/a", "{input}/a/content"])
def test_missing_object_is_a_404_page(emulator: Emulator, buckets: Buckets, path: str) -> None:
    answer = _get(emulator, f"{emulator_buckets()}/{path.format(input=buckets.input)}", 404)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_invalid_page_token_is_a_400_page(emulator: Emulator, buckets: Buckets) -> None:
    answer = _get(emulator, f"{emulator_folder(GcsUri(buckets.input))}?pageToken={SCRIPT}", 400)
    assert SCRIPT not in answer.text
    assert "Invalid page token" in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_pages_reject_writes(emulator: Emulator, store: Store, buckets: Buckets, method: str) -> None:
    uri = GcsUri(buckets.input, "kept")
    store.write(uri, b"kept")
    for address in (emulator_buckets(), emulator_folder(uri), emulator_object(uri), emulator_content(uri)):
        assert requests.request(method, emulator.url + urlsplit(address).path, timeout=10).status_code == 501
    assert store.read(uri) == b"kept"


def test_pages_do_not_consume_faults(emulator: Emulator, buckets: Buckets) -> None:
    faults = f"{emulator.url}/_emulator/faults"
    requests.post(faults, json={"faults": [{"action": "status", "status": 503, "path": "kept-for-others"}]}, timeout=10)
    try:
        _get(emulator, f"{emulator_folder(GcsUri(buckets.input))}?prefix=kept-for-others")
        assert len(requests.get(faults, timeout=10).json()["faults"]) == 1
    finally:
        requests.delete(faults, timeout=10)
