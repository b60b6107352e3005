"""Names and reasons are untrusted: they are always escaped."""

import pytest

from cloudseg_ops.contracts.results import Outcome
from tests.gallery.runs import failed, made_up, write_plan, write_results
from tests.gallery.web.conftest import Site
from tests.support.pagesource import Page, check, relative

HOSTILE = [
    '<script>alert("x")</script>.jpg',
    '"><img src=x onerror=alert(1)>.jpg',
    "' onmouseover='alert(1)' x='.jpg",
    "{{ 7 * 7 }}{% raw %}.jpg",
    "javascript:alert(1).jpg",
    "</code></li></ol><iframe src=//evil.example>.jpg",
    "../../../etc/passwd.jpg",
    "//evil.example/a.jpg",
    "a\u202egpj.exe.jpg",
    "a?outcome=x&b#c%2e.jpg",
    "&lt;b&gt;.jpg",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_malicious_names_are_escaped(site: Site, name: str) -> None:
    site.add(name)
    site.write()
    page = Page(site.get("gallery").text)
    check(page)
    assert name in page.text
    (image,) = page.all("img")
    assert image["alt"] == f"{name}, next to a copy with its clouds marked"
    assert site.get(relative(image["src"])).headers["Content-Type"] == "image/jpeg"
    (link,) = [link for link in page.links() if "/images/" in link]
    detail = Page(site.get(relative(link)).text)
    check(detail)
    assert name in detail.text


@pytest.mark.parametrize("reason", HOSTILE)
def test_malicious_reasons_are_escaped(site: Site, reason: str) -> None:
    site.results.append(failed(made_up("a.jpg").source, Outcome.QUARANTINED, reason))
    site.write()
    page = Page(site.get("gallery").text)
    check(page)
    assert reason in page.text


@pytest.mark.parametrize(
    "run_id", ["%3Cscript%3Ealert(1)%3C%2Fscript", "%22%20onclick=alert(1)%20x=%22", "a%20b%3Fc%23d"]
)
def test_malicious_run_ids_are_escaped(site: Site, run_id: str) -> None:
    answer = site.client.get(f"/dags/x/runs/{run_id}/gallery")
    assert answer.status_code in (200, 404)
    check(Page(answer.text))


@pytest.mark.parametrize("field", ["outcome", "chunk", "least", "most", "from"])
def test_malicious_form_values_are_escaped(site: Site, field: str) -> None:
    site.add("a.jpg")
    site.write()
    answer = site.client.get(
        f"{site.client.base_url}dags/x/runs/y/gallery", params={field: '"><script>alert(1)</script>'}
    )
    assert answer.status_code == 404
    check(Page(answer.text))


def test_malicious_fields_of_a_results_file_are_escaped(site: Site) -> None:
    write_plan(site.store, site.layout, 2)
    lines = [
        b'{"name": "<b>", "generation": 7, "size": 1, "crc32c": "<i>", "outcome": "done", "mask": ["<u>"], '
        b'"cloud_fraction": "<script>", "reason": {"a": "<script>"}, "seconds": 1}',
        b'{"name": "\\ud800", "generation": 7, "size": 1, "crc32c": "", "outcome": "changed", "reason": "\\udfff"}',
    ]
    write_results(site.store, site.layout, 0, lines)
    check(Page(site.get("gallery").text))


def test_every_response_is_private_and_allows_no_scripts(site: Site) -> None:
    site.add("a.jpg")
    site.write()
    (image,) = Page(site.get("gallery").text).all("img")
    answers = [
        site.get("gallery"), site.get(relative(image["src"])), site.get("/style.css"), site.get("/nowhere", status=404),
        site.get("tasks/segment/0", status=303), site.get("gallery?from=x", status=404),
    ]  # fmt: skip
    for answer in answers:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert "script-src" not in policy
        assert policy["frame-ancestors"] == policy["form-action"] == "'self'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"].startswith("private")
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("reason", HOSTILE)
def test_malicious_decoder_messages_are_escaped(reason: str) -> None:
    from xml.etree import ElementTree

    from cloudseg_ops.gallery.rendering import render_no_picture

    drawn = ElementTree.fromstring(render_no_picture(reason + "\0\x1b\ufffe" + " word" * 200))
    assert {element.tag.rpartition("}")[2] for element in drawn.iter()} == {"svg", "title", "rect", "text"}
    assert len(drawn.findall("{*}text")) <= 5


def test_picture_is_revalidated_by_its_etag(site: Site) -> None:
    site.add("a.jpg")
    site.write()
    (image,) = Page(site.get("gallery").text).all("img")
    path = relative(image["src"])
    first = site.get(path)
    tag = first.headers["ETag"]
    again = site.get(path, status=304, **{"If-None-Match": tag})
    assert (again.content, again.headers["ETag"]) == (b"", tag)
    from tests.gallery.runs import put_mask

    put_mask(site.store, site.buckets, site.results[0].source)
    assert site.get(path, **{"If-None-Match": tag}).headers["ETag"] != tag


def test_only_images_of_the_run_can_be_requested(site: Site) -> None:
    from cloudseg_ops.contracts.run_layout import image_key

    secret = site.add("secret.jpg")
    site.results.clear()
    site.add("a.jpg")
    site.write()
    key = image_key(secret.source.name, secret.source.generation)
    for offset in (0, 1, 100):
        site.get(f"images/0/{offset}/{key}/small", status=404)
