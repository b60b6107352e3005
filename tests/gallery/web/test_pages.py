"""The pages of a run, over HTTP, on the emulator."""

import io
import re

import pytest
from PIL import Image

from cloudseg_ops.contracts.results import Outcome
from tests.gallery.runs import failed, made_up, photograph, put_photograph, write_plan, write_results
from tests.gallery.web.conftest import PREFIX, Site
from tests.support.pagesource import Page, relative

ROOT = f"/cloudseg{PREFIX}"


def shown(site: Site, path: str) -> Page:
    return Page(site.get(path).text)


def test_photographs_with_overlays_and_cloud_fraction(site: Site) -> None:
    site.add("sky/a b.jpg", fraction=0.25)
    site.add("sky/ö#1?.png", keep=False, fraction=1.0)
    site.write()
    page = shown(site, "gallery")
    assert [image["alt"] for image in page.all("img")] == [
        "sky/a b.jpg, next to a copy with its clouds marked",
        "Mask of sky/ö#1?.png",
    ]
    assert "25 % cloud" in page.text
    assert "The photograph was deleted because its mask is proven: this is the mask." in page.text
    assert "Chunks without results yet, whose images are not shown: 1." in page.text
    sizes = []
    for image in page.all("img"):
        answer = site.get(relative(image["src"]))
        picture = Image.open(io.BytesIO(answer.content))
        assert answer.headers["Content-Type"] == Image.MIME[picture.format or ""]
        sizes.append(picture.size)
    assert sizes == [(2 * 64 + 4, 48), (64, 48)]


def test_quarantined_images_show_their_reason(site: Site) -> None:
    site.add("good.jpg")
    site.add_bad("bad.jpg", "not an image, or none of the formats")
    site.write()
    page = shown(site, "gallery?outcome=quarantined")
    assert "bad.jpg" in page.text
    assert "good.jpg" not in page.text
    assert "not an image, or none of the formats" in page.text
    (image,) = page.all("img")
    answer = site.get(relative(image["src"]), status=422)
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert "not a photograph but text" in answer.text
    (link,) = [link for link in page.links() if "/images/" in link]
    detail = shown(site, relative(link))
    assert "in quarantine" in detail.text
    assert "There is no mask." in detail.text


def test_decodable_quarantined_photograph_is_shown(site: Site) -> None:
    site.add_bad("long.png", "this network cannot be cut", photograph((640, 480), "PNG"))
    site.write()
    (image,) = shown(site, "gallery").all("img")
    assert image["alt"] == "long.png"
    assert Image.open(io.BytesIO(site.get(relative(image["src"])).content)).size == (320, 240)


@pytest.mark.parametrize("outcome", [Outcome.VANISHED, Outcome.CHANGED])
def test_vanished_and_changed_images_show_their_reason(site: Site, outcome: Outcome) -> None:
    site.results.append(failed(made_up("gone.jpg").source, outcome, f"why it {outcome}"))
    site.write()
    page = shown(site, f"gallery?outcome={outcome}")
    assert f"why it {outcome}" in page.text
    assert page.all("img") == []


def test_image_page_shows_the_provenance_of_the_mask(site: Site) -> None:
    result = site.add("sky/a.jpg")
    site.write()
    (link,) = [link for link in shown(site, "gallery").links() if "/images/" in link]
    page = shown(site, relative(link))
    for text in (
        "v1", "0123456789abcdef0123456789abcdef01234567", "900150983cd24fb0d6963f7d28e17f72", "test-run", "0.2500",
        str(result.source.generation), result.source.crc32c, "still in INPUT", "mask made",
        f"gs://{site.buckets.output}/sky/a.jpg.mask.png",
    ):  # fmt: skip
        assert text in page.text, text
    (image,) = page.all("img")
    assert image["src"].endswith("/large")
    assert site.get(relative(image["src"])).headers["Content-Type"] == "image/jpeg"


def test_mask_of_another_version_is_marked(site: Site) -> None:
    site.results.append(made_up("sky/a.jpg"))
    site.write()
    old = put_photograph(site.store, site.buckets, "sky/a.jpg")
    from tests.gallery.runs import put_mask

    put_mask(site.store, site.buckets, old)
    (link,) = [link for link in shown(site, "gallery").links() if "/images/" in link]
    assert "which is of another version of this photograph" in shown(site, relative(link)).text


def test_filters_are_a_form_and_pages_are_links(site: Site) -> None:
    images = [made_up(f"{number:03d}.jpg", number / 100) for number in range(60)]
    write_plan(site.store, site.layout, 60)
    write_results(site.store, site.layout, 0, images)
    page = shown(site, "gallery?least=10&most=59")
    (form,) = page.all("form")
    assert (form["method"], form["action"]) == ("get", f"{ROOT}/gallery")
    assert {field["name"]: field["value"] for field in page.all("input")} == {"chunk": "", "least": "10", "most": "59"}
    seen = []
    link = "gallery?least=10&most=59"
    while link:
        page = shown(site, link)
        seen += [code["title"] for code in page.all("code") if "title" in code]
        link = relative(next((link for link in page.links() if "from=" in link), ""))
    assert seen == [f"{number:03d}.jpg" for number in range(10, 60)]
    assert f"{ROOT}/gallery?least=10&most=59" in page.links()


def test_page_has_labels_and_a_language(site: Site) -> None:
    site.add("a.jpg")
    site.write()
    page = shown(site, "gallery")
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("label")) == len(page.all("input")) + len(page.all("select"))
    assert all(image["alt"] for image in page.all("img"))
    assert {nav["aria-label"] for nav in page.all("nav")} == {"Pages of the run", "Pages of images"}
    assert len(page.all("main")) == len(page.all("h1")) == 1


def test_run_without_a_plan(site: Site) -> None:
    assert "No chunk is planned" in shown(site, "gallery").text


def test_filter_without_matches(site: Site) -> None:
    site.add("a.jpg")
    site.write()
    assert "No image matches the filter." in shown(site, "gallery?outcome=vanished").text


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("tasks/segment/3", "/gallery?chunk=3"),
        ("tasks/segment/-1", "/gallery"),
        ("tasks/segment/%7BMAP_INDEX%7D", "/gallery"),
        ("tasks/report/3", "/gallery"),
        ("tasks/segment/%5C%5Cevil.example", "/gallery"),
    ],
)
def test_task_redirects_to_its_chunk(site: Site, path: str, target: str) -> None:
    assert site.get(path, status=303).headers["Location"] == ROOT + target


def test_progress_of_an_unfinished_run_is_refreshed(site: Site) -> None:
    write_plan(site.store, site.layout, 2, 2)
    write_results(site.store, site.layout, 0, [made_up("a.jpg"), made_up("b.jpg")])
    answer = site.get("progress")
    page = Page(answer.text)
    assert answer.headers["Refresh"] == "5"
    assert "2 of 4 images done" in page.text
    assert re.findall(r"0000\d(\w+)", page.text) == ["done", "waiting"]
    assert f"{ROOT}/gallery?chunk=1" in page.links()
    assert page.all("script") == []


@pytest.mark.parametrize(
    "path",
    [
        "gallery?outcome=x", "gallery?chunk=x", "gallery?from=x", "gallery?from=" + "9" * 80, "images/0/0/" + "0" * 32,
        "images/0/x/" + "0" * 32, "images/0/0/" + "z" * 32, "images/0/0/" + "0" * 32 + "/huge", "nowhere",
        "images/100000/0/" + "0" * 32, "images/0/9999999999999999999/" + "0" * 32, "/", "/dags",
    ],
)  # fmt: skip
def test_missing_page_is_a_404_page(site: Site, path: str) -> None:
    site.add("a.jpg")
    site.write()
    page = Page(site.get(path, status=404).text)
    assert len(page.all("h1")) == 1
