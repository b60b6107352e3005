"""Listings, a page a request, without the client's own objects: what a million of them cost is the point."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.storage._calls import retry
from cloudseg_ops.storage._types import BATCH_SIZE, PAGE_SIZE, info_from

if TYPE_CHECKING:
    from google.cloud.storage import Client


_FIELDS = "items(name,generation,size,crc32c,md5Hash,updated,metadata),nextPageToken"
_TIMEOUT = 60.0  # seconds that one request may take, as the client has it


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.

    Attributes:
        objects: At most `PAGE_SIZE` of them, in the order of their names' UTF-8 bytes.
        token: Where the next page begins; None: this is the last one.
    """

    objects: list[ObjectInfo]
    token: str | None


def list_page(
    client: Client,
    bucket: str,
    *,
    prefix: str | None = None,
    start: str | None = None,
    end: str | None = None,
    token: str | None = None,
) -> Page:
    """Ask for one page; it is repeated as every other call is.

    Args:
        client: Of google-cloud-storage.
        bucket: Its name.
        prefix: Only names that begin with this.
        start: Only names from this one on.
        end: Only names before this one.
        token: Of the page before.
    """
    asked = {"prefix": prefix, "startOffset": start, "endOffset": end, "pageToken": token}
    # What the client's own listing sends. It makes a Blob of each item, which takes ten times what the rest takes.
    answer = client._connection.api_request(
        method="GET",
        path=f"/b/{quote(bucket, safe='')}/o",
        query_params={
            "projection": "noAcl",
            "fields": _FIELDS,
            "maxResults": PAGE_SIZE,
            **{key: value for key, value in asked.items() if value},
        },
        timeout=_TIMEOUT,
        retry=retry(),
    )
    return Page([info_from(bucket, item) for item in answer.get("items", ())], answer.get("nextPageToken"))


def list_pages(client: Client, bucket: str, **where: Any) -> Iterator[Page]:
    """Stream pages; while one is being worked on, the next one is already asked for."""
    page = list_page(client, bucket, **where)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="listing") as ahead:
        while token := page.token:
            following = ahead.submit(list_page, client, bucket, **where, token=token)
            yield page
            page = following.result()
        yield page


# A page that settles fewer names than this costs more time than asking for each of them.
_FEW = 10


def find_by_listing(
    names: Sequence[str], list_from: Callable[[str, str], Page]
) -> tuple[dict[str, ObjectInfo], list[str]]:
    """List only where wanted names are: each page begins at the first name that is still to be looked for.

    What lies between the end of a page and the next name is never listed. Names may lie so far apart that a page
    settles few of them: after one such page for each hundred names, it stops.

    Args:
        names: In the order of their UTF-8 bytes, each once.
        list_from: Gives a page of the names from one on and before another.

    Returns:
        What was found, and the names that are still to be looked for.
    """
    found: dict[str, ObjectInfo] = {}
    keys = [name.encode() for name in names]
    wanted = set(names)
    budget = max(1, len(names) // BATCH_SIZE)
    at = 0
    while at < len(names) and budget:
        page = list_from(names[at], names[-1] + "\0")
        found.update((info.name, info) for info in page.objects if info.name in wanted)
        if page.token is None:
            return found, []
        # A page may be empty and yet not the last one: then it says nothing, and the rest is asked for.
        if not page.objects:
            break
        settled = bisect_right(keys, page.objects[-1].name.encode())
        if settled - at < _FEW:
            budget -= 1
        at = settled
    return found, list(names[at:])
