"""Paths of the emulator's pages. Uploads may have any name, so every name is quoted."""

from __future__ import annotations

from urllib.parse import quote

PAGES = "/_emulator/browse"


def buckets_path() -> str:
    """Path of the list of buckets."""
    return PAGES


def folder_path(bucket: str, prefix: str = "") -> str:
    """Path of the page of a bucket's objects whose names begin with a prefix."""
    query = f"?prefix={quote(prefix, safe='')}" if prefix else ""
    return f"{PAGES}/{quote(bucket, safe='')}{query}"


def object_path(bucket: str, name: str) -> str:
    """Path of the page about an object."""
    return f"{PAGES}/{quote(bucket, safe='')}/{quote(name, safe='')}"


def content_path(bucket: str, name: str) -> str:
    """Path of an object's bytes, as a browser shows them."""
    return f"{object_path(bucket, name)}/content"
