"""Lists objects page by page, as `Objects: list` of the JSON API does."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import ApiError
from .preconditions import integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .records import ObjectRecord
    from .store import Store

MAX_RESULTS = 1000
"""Maximum number of entries per page (https://cloud.google.com/storage/docs/json_api/v1/objects/list)."""


@dataclass
class Page:
    """One page of a listing: objects, prefixes, and the token of the next page (None on the last)."""

    items: list[ObjectRecord] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next_token: str | None = None

    def __len__(self) -> int:
        return len(self.items) + len(self.prefixes)


def successor(prefix: bytes) -> bytes:
    """Return the smallest byte string greater than all that start with ``prefix`` (UTF-8 never contains 0xFF)."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def parse_fields(fields: str) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """Parse ``fields``: return the keys to include of the page and of its items; None means all.

    Only ``key`` and ``items(key,…)`` are supported, which is what clients send; any other expression selects
    everything (https://cloud.google.com/storage/docs/json_api#partial-response).
    """
    if not re.fullmatch(r"\w+(\(\w+(,\w+)*\))?(,\w+(\(\w+(,\w+)*\))?)*", fields):
        return None, None
    nested = dict(re.findall(r"(\w+)\(([\w,]+)\)", fields))
    top = frozenset(re.sub(r"\([\w,]+\)", "", fields).split(","))
    return top, frozenset(nested["items"].split(",")) if "items" in nested else None


_GLOB = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Translate a ``matchGlob``: ``*`` and ``?`` stop at a slash, ``**`` does not; ``[…]`` and ``{a,b}`` are supported.

    Source: https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob
    """
    out: list[str] = []
    depth = 0
    for part in re.findall(r"\*\*/?|\[[^]]+\]|\\.|.", glob, re.DOTALL):
        if part in _GLOB:
            out.append(_GLOB[part])
        elif part[0] == "[" and len(part) > 1:
            inner = part[1:-1].replace("\\", r"\\")
            out.append(f"[^{inner[1:]}]" if inner[0] in "!^" else f"[{inner}]")
        elif part == "{" or (part in "}," and depth):
            depth += {"{": 1, "}": -1}.get(part, 0)
            out.append({"{": "(?:", "}": ")", ",": "|"}.get(part, part))
        else:
            out.append(re.escape(part[-1]))
    try:
        return re.compile("".join(out), re.DOTALL)
    except re.error as error:
        raise ApiError(400, f"Invalid matchGlob {glob!r}: {error}.") from error


def _token(start: bytes) -> str:
    return base64.urlsafe_b64encode(start).decode()


def _start(token: str) -> bytes:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiError(400, f"Invalid page token: {token!r}.") from error


def list_page(store: Store, bucket: str, query: Mapping[str, str]) -> Page:
    """Return one page of a bucket's objects.

    Args:
        store: The store.
        bucket: The bucket.
        query: The query parameters of `Objects: list`.

    Raises:
        ApiError: 404 if the bucket does not exist, 400 for an invalid token, glob or number.
    """
    store.bucket(bucket)
    requested = integer(query, "maxResults")
    limit = min(requested or MAX_RESULTS, MAX_RESULTS)
    prefix = query.get("prefix", "")
    delimiter = query.get("delimiter", "")
    glob = query.get("matchGlob")
    wanted = glob_pattern(glob) if glob else None
    trailing = query.get("includeTrailingDelimiter", "").lower() == "true"
    start = max(prefix.encode(), query.get("startOffset", "").encode(), _start(query.get("pageToken", "")))
    ends = [query["endOffset"].encode()] if query.get("endOffset") else []
    if prefix:
        ends.append(successor(prefix.encode()))
    end = min(ends) if ends else None

    page = Page()
    seen = ""
    restart: bytes | None = start
    while restart is not None:
        rows = store.scan(bucket, restart, end)
        restart = None
        for record in rows:
            if wanted is not None and not wanted.fullmatch(record.name):
                continue
            cut = record.name.find(delimiter, len(prefix)) if delimiter else -1
            folder = record.name[: cut + len(delimiter)] if cut >= 0 else ""
            own = not folder or (trailing and folder == record.name)
            if len(page) >= limit and (own or folder != seen):
                page.next_token = _token(record.name.encode())
                return page
            if folder and folder != seen:
                seen = folder
                page.prefixes.append(folder)
            if own:
                page.items.append(record)
            elif wanted is None:
                # The remaining objects under this prefix add nothing; continue after them.
                restart = successor(folder.encode())
                break
    return page
