"""The emulator's read-only HTML pages, under ``/_emulator/browse``: buckets, folders, objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

from . import views
from .downloads import download
from .errors import ApiError
from .listing import list_page
from .preconditions import Preconditions

if TYPE_CHECKING:
    from starlette.requests import Request

    from .records import ObjectRecord
    from .service import Handler, Service

PAGE_ENTRIES = 200
"""Maximum number of entries on a folder's page."""


def _html_errors(handler: Handler) -> Handler:
    """Wrap a handler to render its errors as HTML pages."""

    async def handle(service: Service, request: Request, names: dict[str, str]) -> Response:
        try:
            return await handler(service, request, names)
        except ApiError as error:
            return _page(views.error_view(error.status, error.message), error.status)

    return handle


@_html_errors
async def buckets_page(service: Service, _request: Request, _: dict[str, str]) -> Response:
    """Handle ``GET /_emulator/browse``: list all buckets."""
    return _page(views.buckets_view(service.store.buckets()))


@_html_errors
async def folder_page(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``GET …/{bucket}?prefix=…&pageToken=…``: show one page of a folder."""
    prefix = request.query_params.get("prefix", "")
    query = {
        "prefix": prefix,
        "delimiter": "/",
        "maxResults": str(PAGE_ENTRIES),
        "pageToken": request.query_params.get("pageToken", ""),
    }
    return _page(views.folder_view(names["bucket"], prefix, list_page(service.store, names["bucket"], query)))


@_html_errors
async def object_page(service: Service, _request: Request, names: dict[str, str]) -> Response:
    """Handle ``GET …/{bucket}/{object}``: show an object's metadata and, for an image, the image."""
    return _page(views.object_view(_record(service, names)))


@_html_errors
async def content(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``GET …/{bucket}/{object}/content``: return the content for display in a browser."""
    return download(service.store, _record(service, names), request)


def _record(service: Service, names: dict[str, str]) -> ObjectRecord:
    return service.store.get(names["bucket"], names["object"], None, Preconditions(read=True))


def _page(html: str, status: int = 200) -> Response:
    headers = {
        "Content-Security-Policy": views.policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(html, status_code=status, headers=headers)
