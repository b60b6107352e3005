"""URL paths of the emulator's pages. Names are quoted, because objects may have any name."""

from __future__ import annotations

from urllib.parse import quote

PAGES = "/_emulator/browse"


def buckets_path() -> str:
    """Return the path of the list of buckets."""
    return PAGES


def folder_path(bucket: str, prefix: str = "") -> str:
    """Return the path of the page that lists a bucket's objects below a prefix."""
    query = f"?prefix={quote(prefix, safe='')}" if prefix else ""
    return f"{PAGES}/{quote(bucket, safe='')}{query}"


def object_path(bucket: str, name: str) -> str:
    """Return the path of an object's page."""
    return f"{PAGES}/{quote(bucket, safe='')}/{quote(name, safe='')}"


def content_path(bucket: str, name: str) -> str:
    """Return the path of an object's content, as displayed in a browser."""
    return f"{object_path(bucket, name)}/content"
