"""Lists objects page by page without the client's `Blob` objects, which would be too slow for a million of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.storage._json_calls import call_json
from cloudseg_ops.storage._types import BATCH_SIZE, PAGE_SIZE, info_from

if TYPE_CHECKING:
    from cloudseg_ops.storage._transport import Transport

# With `kind`, an empty page is not `{}`, which a broken response may be.
_FIELDS = "kind,items(name,generation,size,crc32c,md5Hash,updated,metadata),nextPageToken"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.

    Attributes:
        objects: At most `PAGE_SIZE` objects, ordered by the UTF-8 bytes of their names.
        token: Token of the next page; None if this is the last one.
    """

    objects: list[ObjectInfo]
    token: str | None


def list_page(
    transport: Transport,
    bucket: str,
    *,
    prefix: str | None = None,
    start: str | None = None,
    end: str | None = None,
    token: str | None = None,
) -> Page:
    """Request one page of a listing, with retries.

    Args:
        transport: Sends the requests.
        bucket: Name of the bucket.
        prefix: Only list names that begin with this prefix.
        start: Only list names from this one on.
        end: Only list names before this one.
        token: The `token` of the previous page.
    """
    query: dict[str, int | str | None] = {
        "projection": "noAcl",
        "fields": _FIELDS,
        "maxResults": PAGE_SIZE,
        "prefix": prefix,
        "startOffset": start,
        "endOffset": end,
        "pageToken": token,
    }

    def parse(answer: dict[str, Any]) -> Page:
        if "kind" not in answer:
            raise KeyError("kind")
        return Page([info_from(bucket, item) for item in answer.get("items", ())], answer.get("nextPageToken"))

    return call_json(transport, "GET", f"/{quote(bucket, safe='')}/o", query, parse)


def stat(transport: Transport, bucket: str, name: str, generation: int | None = None) -> ObjectInfo | None:
    """Return the metadata of an object; None if the object or its bucket does not exist.

    Args:
        transport: Sends the requests.
        bucket: Name of the bucket.
        name: Name of the object.
        generation: The generation; None: the current one.
    """
    from google.api_core.exceptions import NotFound

    path = f"/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
    query: dict[str, int | str | None] = {"projection": "noAcl", "generation": generation}
    try:
        return call_json(transport, "GET", path, query, lambda resource: info_from(bucket, resource))
    except NotFound:
        return None


def list_pages(transport: Transport, bucket: str, **where: Any) -> Iterator[Page]:
    """Stream the pages of a listing; the next page is requested while the current one is processed.

    Args:
        transport: Sends the requests.
        bucket: Name of the bucket.
        where: `prefix`, `start` and `end`, as for `list_page`.
    """
    page = list_page(transport, bucket, **where)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="listing") as ahead:
        while token := page.token:
            following = ahead.submit(list_page, transport, bucket, **where, token=token)
            yield page
            page = following.result()
        yield page


# A page that covers fewer names than this takes longer than requesting each of them.
_FEW = 10


def find_by_listing(
    names: Sequence[str], list_from: Callable[[str, str], Page]
) -> tuple[dict[str, ObjectInfo], list[str]]:
    """Find objects by listing only the ranges that contain their names.

    Each page begins at the next name to find, so objects between a page and that name are never listed. If names are
    so far apart that pages cover few of them, it stops after one such page per hundred names.

    Args:
        names: The names to find, ordered by their UTF-8 bytes and without duplicates.
        list_from: Returns a page of the names from its first argument on and before its second.

    Returns:
        The objects found by name, and the names that are still to be checked.
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
        # An empty page may not be the last one, and covers no names: leave the rest to be checked one by one.
        if not page.objects:
            break
        settled = bisect_right(keys, page.objects[-1].name.encode())
        if settled - at < _FEW:
            budget -= 1
        at = settled
    return found, list(names[at:])
