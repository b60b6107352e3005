"""Renders the emulator's HTML pages. Object names are untrusted, so all are escaped and quoted."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from jinja2.filters import do_filesizeformat

from .addresses import buckets_path, content_path, folder_path, object_path
from .records import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jinja2 import Environment

    from .listing import Page
    from .records import BucketRecord, ObjectRecord

_PACKAGE = "gcs_emulator"
_PICTURES = frozenset({"image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp"})
"""Image types that every browser can display."""


class Crumb(NamedTuple):
    """A breadcrumb: label and link."""

    name: str
    href: str


class Entry(NamedTuple):
    """A row of a folder's page; subfolders have only a name and a link."""

    name: str
    href: str
    size: str = ""
    content_type: str = ""
    updated: str = ""


def buckets_view(buckets: Iterable[BucketRecord]) -> str:
    """Render the list of buckets."""
    entries = [Entry(bucket.name, folder_path(bucket.name)) for bucket in buckets]
    return _render("folder", title="Buckets", crumbs=[], folders=entries, objects=[], more=None)


def folder_view(bucket: str, prefix: str, page: Page) -> str:
    """Render one page of a folder.

    Args:
        bucket: the bucket.
        prefix: the folder: empty, or ending in a slash.
        page: the listing, with the delimiter ``/``.
    """
    folders = [Entry(name[len(prefix) :], folder_path(bucket, name)) for name in page.prefixes]
    objects = [_entry(record, prefix) for record in page.items]
    more = None
    if page.next_token is not None:
        more = f"{buckets_path()}/{quote(bucket, safe='')}?prefix={quote(prefix, safe='')}"
        more += f"&pageToken={quote(page.next_token, safe='')}"
    title = f"gs://{bucket}/{prefix}"
    crumbs = _crumbs(bucket, prefix)
    return _render("folder", title=title, crumbs=crumbs, folders=folders, objects=objects, more=more)


def object_view(record: ObjectRecord) -> str:
    """Render an object's page."""
    uri = f"gs://{record.bucket}/{record.name}"
    facts = {
        "address": uri,
        "size": f"{do_filesizeformat(record.size)} ({record.size:,} bytes)",
        "type": _type(record),
        "updated": rfc3339(record.updated),
        "generation": f"{record.generation}, metageneration {record.metageneration}",
        "crc32c": record.crc32c,
        "md5": record.md5 or "none: it was composed",
    }
    more = {key: value for key, value in record.fields.items() if key not in ("contentType", "metadata")}
    facts |= {key: value if isinstance(value, str) else json.dumps(value) for key, value in more.items()}
    folder, _, name = record.name.rpartition("/")
    crumbs = _crumbs(record.bucket, f"{folder}/" if folder or record.name.startswith("/") else "")
    return _render(
        "object",
        title=uri,
        crumbs=[*crumbs, Crumb(name, object_path(record.bucket, record.name))],
        facts=facts,
        metadata=record.fields.get("metadata", {}),
        content=content_path(record.bucket, record.name),
        is_picture=_type(record) in _PICTURES,
    )


def error_view(status: int, message: str) -> str:
    """Render an error page."""
    return _render("error", title=f"{status}", crumbs=[], message=message)


@cache
def policy() -> str:
    """Return the pages' content security policy, which allows only their style sheet and the emulator's images."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; img-src 'self'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _entry(record: ObjectRecord, prefix: str) -> Entry:
    href = object_path(record.bucket, record.name)
    # An object named like its folder is shown with its full name.
    name = record.name[len(prefix) :] or record.name
    return Entry(name, href, do_filesizeformat(record.size), _type(record), rfc3339(record.updated))


def _crumbs(bucket: str, prefix: str) -> list[Crumb]:
    crumbs = [Crumb(bucket, folder_path(bucket))]
    end = 0
    while (slash := prefix.find("/", end)) >= 0:
        crumbs.append(Crumb(prefix[end : slash + 1], folder_path(bucket, prefix[: slash + 1])))
        end = slash + 1
    return crumbs


def _type(record: ObjectRecord) -> str:
    return str(record.fields.get("contentType", "application/octet-stream"))


def _render(template: str, **values: Any) -> str:
    from markupsafe import Markup

    # The emulator's own file; escaping would invalidate the policy's hash.
    style = Markup(_style())  # noqa: S704
    return _environment().get_template(f"{template}.html.j2").render(style=style, buckets=buckets_path(), **values)


@cache
def _style() -> str:
    return resources.files(_PACKAGE).joinpath("pages.css").read_text("utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(_PACKAGE, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
