"""The common parts of the gallery's responses: security headers, and pages for errors."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from cloudseg_ops.contracts.errors import CloudsegError, PermissionDeniedError, SettingsError
from cloudseg_ops.gallery.errors import BusyError, GalleryError
from cloudseg_ops.gallery.rendering import POLICY, render_message

_log = logging.getLogger(__name__)

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Browsers may cache pages and pictures, but must revalidate them each time.
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie, Authorization",
}
_LOGIN = "/api/v2/auth/login"
_TITLES = {401: "You are not logged in", 403: "You may not see this", 404: "There is no such page"}


class SecurityHeadersMiddleware:
    """ASGI middleware that adds `HEADERS` to every response."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Forward a request, and add the headers to its response."""

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def show_errors(app: FastAPI) -> None:
    """Register handlers that show errors as pages."""
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        HTTPException: _show_refusal,
        RequestValidationError: _show_invalid,
        CloudsegError: _show_error,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def page(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """Return a page as a response."""
    return HTMLResponse(text, status, headers=dict(headers or {}))


async def _show_refusal(request: Request, error: HTTPException) -> Response:
    title = _TITLES.get(error.status_code, "This cannot be shown")
    if error.status_code not in (401, 403):
        return _message(request, error.status_code, title, str(error.detail))
    text = (
        "Airflow asks you to log in first."
        if error.status_code == 401
        else "You do not have permission to see the runs of this DAG; ask an administrator of Airflow, or log in as "
        "another user."
    )
    # Airflow's login page, which leads back to this path and never to another host.
    airflow = request.scope.get("app_root_path", "")
    back = f"{_root(request)}{quote(_path(request))}" + (f"?{request.url.query}" if request.url.query else "")
    login = f"{airflow}{_LOGIN}?next={quote(back, safe='')}"
    return _message(request, error.status_code, title, text, (login, "Log in"))


async def _show_invalid(request: Request, _: RequestValidationError) -> Response:
    return _message(request, 404, _TITLES[404], "The gallery has no page at this address.")


async def _show_error(request: Request, error: CloudsegError) -> Response:
    status, title = _verdict(error)
    if status >= 500:
        _log.warning("%s: %s", type(error).__name__, error)
    return _message(request, status, title, str(error))


def _verdict(error: CloudsegError) -> tuple[int, str]:
    """Return the HTTP status and the title for an error."""
    if isinstance(error, BusyError):
        return 503, "The gallery is busy"
    if isinstance(error, GalleryError):
        return 404, "There is nothing to show"
    if isinstance(error, SettingsError):
        return 503, "cloudseg is not set up on the API server"
    if isinstance(error, PermissionDeniedError):
        return 503, "The API server may not read the buckets"
    return 503, "The buckets cannot be read"


def _message(request: Request, status: int, title: str, text: str, link: tuple[str, str] | None = None) -> HTMLResponse:
    return page(render_message(f"{_root(request)}/style.css", title, text, link), status)


def _root(request: Request) -> str:
    """Return the path where the gallery is mounted."""
    return str(request.scope.get("root_path", ""))


def _path(request: Request) -> str:
    """Return the decoded path of the page within the gallery."""
    return str(request.scope["path"]).removeprefix(_root(request))
