"""Listing from the client's side: order, prefixes, offsets, globs, pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from google.cloud import storage

NAMES = ["2026/01/a.jpg", "2026/01/b.JPG", "2026/02/c.png", "2026/x", "A", "a", "a/b", "b", "Ä", "雲", "\U0001f325"]


@pytest.fixture
def filled(bucket: Any) -> Any:
    for name in reversed(NAMES):
        bucket.blob(name).upload_from_string(name.encode())
    return bucket


def _names(client: storage.Client, bucket: Any, **options: Any) -> list[str]:
    return [blob.name for blob in client.list_blobs(bucket, **options)]


def test_empty_bucket(client: storage.Client, bucket: Any) -> None:
    assert _names(client, bucket) == []


def test_order_is_by_utf8_bytes(client: storage.Client, filled: Any) -> None:
    assert _names(client, filled) == sorted(NAMES, key=str.encode)


@pytest.mark.parametrize("prefix", ["", "2026/", "2026/0", "a", "a/", "none", "Ä", "\U0001f325"])
def test_prefix(client: storage.Client, filled: Any, prefix: str) -> None:
    assert _names(client, filled, prefix=prefix) == [n for n in sorted(NAMES, key=str.encode) if n.startswith(prefix)]


@pytest.mark.parametrize(
    ("start", "end"), [("a", None), (None, "a"), ("2026/01/b.JPG", "a/b"), ("b", "a"), ("2026/01/b", "Ä"), ("zz", None)]
)
def test_offsets(client: storage.Client, filled: Any, start: str | None, end: str | None) -> None:
    expected = [
        name
        for name in sorted(NAMES, key=str.encode)
        if (start is None or name.encode() >= start.encode()) and (end is None or name.encode() < end.encode())
    ]
    assert _names(client, filled, start_offset=start, end_offset=end) == expected


def test_delimiter_groups_names_into_prefixes(client: storage.Client, filled: Any) -> None:
    found = client.list_blobs(filled, delimiter="/")
    assert [blob.name for blob in found] == ["A", "a", "b", "Ä", "雲", "\U0001f325"]
    assert found.prefixes == {"2026/", "a/"}
    found = client.list_blobs(filled, prefix="2026/", delimiter="/")
    assert [blob.name for blob in found] == ["2026/x"]
    assert found.prefixes == {"2026/01/", "2026/02/"}


def test_folder_marker_is_listed_on_request(client: storage.Client, bucket: Any) -> None:
    for name in ("dir/", "dir/x"):
        bucket.blob(name).upload_from_string(b"")
    assert _names(client, bucket, delimiter="/") == []
    assert _names(client, bucket, delimiter="/", include_trailing_delimiter=True) == ["dir/"]
    assert _names(client, bucket, prefix="dir/", delimiter="/") == ["dir/", "dir/x"]


@pytest.mark.usefixtures("needs_pages")
def test_max_results_limits_the_whole_listing(client: storage.Client, filled: Any) -> None:
    assert _names(client, filled, max_results=3) == sorted(NAMES, key=str.encode)[:3]


@pytest.mark.usefixtures("needs_globs")
@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("2026/01/*.jpg", ["2026/01/a.jpg"]),
        ("2026/01/?.{jpg,JPG}", ["2026/01/a.jpg", "2026/01/b.JPG"]),
        ("**.png", ["2026/02/c.png"]),
        ("*", ["A", "a", "b", "Ä", "雲", "\U0001f325"]),
        ("[ab]", ["a", "b"]),
        ("2026/**", ["2026/01/a.jpg", "2026/01/b.JPG", "2026/02/c.png", "2026/x"]),
        ("2026/**/*.{jpg,png}", ["2026/01/a.jpg", "2026/02/c.png"]),
    ],
)
def test_match_glob(client: storage.Client, filled: Any, glob: str, expected: list[str]) -> None:
    assert _names(client, filled, match_glob=glob) == expected


@pytest.mark.usefixtures("needs_pages")
@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("options", [{}, {"prefix": "2026/"}, {"start_offset": "A", "end_offset": "b"}], ids=str)
def test_pages_have_no_gaps_or_duplicates(
    client: storage.Client, filled: Any, size: int, options: dict[str, str]
) -> None:
    pages = [[blob.name for blob in page] for page in client.list_blobs(filled, page_size=size, **options).pages]
    assert all(len(page) <= size for page in pages)
    assert all(len(page) == size for page in pages[:-1])
    assert [name for page in pages for name in page] == _names(client, filled, **options)


@pytest.mark.usefixtures("needs_pages")
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_with_prefixes_have_no_gaps_or_duplicates(client: storage.Client, filled: Any, size: int) -> None:
    found = client.list_blobs(filled, page_size=size, delimiter="/")
    assert [blob.name for blob in found] == ["A", "a", "b", "Ä", "雲", "\U0001f325"]
    assert found.prefixes == {"2026/", "a/"}


@pytest.mark.usefixtures("needs_pages")
def test_page_token_keeps_its_position_when_names_change(client: storage.Client, bucket: Any) -> None:
    for name in ("a", "c", "e"):
        bucket.blob(name).upload_from_string(b"")
    first = client.list_blobs(bucket, page_size=2)
    page = next(first.pages)
    assert [blob.name for blob in page] == ["a", "c"]
    bucket.blob("b").upload_from_string(b"")
    bucket.blob("f").upload_from_string(b"")
    bucket.blob("c").delete()
    rest = client.list_blobs(bucket, page_token=first.next_page_token)
    assert [blob.name for blob in rest] == ["e", "f"]


@pytest.mark.usefixtures("needs_pages", "needs_batch")
def test_page_has_at_most_a_thousand_objects(client: storage.Client, bucket: Any, endpoint: str) -> None:
    with requests.Session() as session:
        for number in range(1001):
            answer = session.post(
                f"{endpoint}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=n{number:04d}", data=b"x"
            )
            assert answer.status_code == 200
        page = session.get(f"{endpoint}/storage/v1/b/{bucket.name}/o?maxResults=5000").json()
        assert len(page["items"]) == 1000
        rest = session.get(f"{endpoint}/storage/v1/b/{bucket.name}/o", params={"pageToken": page["nextPageToken"]})
        assert [item["name"] for item in rest.json()["items"]] == ["n1000"]
        assert "nextPageToken" not in rest.json()
    for start in range(0, 1001, 100):
        with client.batch(raise_exception=False):
            for number in range(start, min(start + 100, 1001)):
                bucket.delete_blob(f"n{number:04d}")
    assert _names(client, bucket) == []


def test_partial_response_has_the_requested_fields(client: storage.Client, filled: Any) -> None:
    (page,) = client.list_blobs(filled, prefix="2026/x", fields="items(name,size),nextPageToken").pages
    (blob,) = page
    assert blob._properties == {"name": "2026/x", "size": "6"}
    names = [blob.name for blob in client.list_blobs(filled, page_size=4, fields="items(name),nextPageToken")]
    assert names == sorted(NAMES, key=str.encode)
