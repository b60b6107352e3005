"""What every answer of the gallery has in common: headers that keep it private, and errors as pages."""

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

from cloudseg_ops.contracts.errors import BusyError, CloudsegError, GalleryError, PermissionDeniedError, SettingsError
from cloudseg_ops.gallery.rendering import POLICY, render_message

_log = logging.getLogger(__name__)

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The browser of a user who may see a page or picture may cache it, but revalidates it each time.
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie, Authorization",
}
_LOGIN = "/api/v2/auth/login"
_TITLES = {401: "You are not logged in", 403: "You may not see this", 404: "There is no such page"}


class PrivateAnswers:
    """ASGI middleware that puts `HEADERS` on each answer, whatever it is."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer a request."""

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def show_errors(app: FastAPI) -> None:
    """Have errors shown as pages."""
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        HTTPException: _show_refusal,
        RequestValidationError: _show_invalid,
        CloudsegError: _show_error,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def page(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """Answer with a page."""
    return HTMLResponse(text, status, headers=dict(headers or {}))


async def _show_refusal(request: Request, error: HTTPException) -> Response:
    title = _TITLES.get(error.status_code, "This cannot be shown")
    if error.status_code not in (401, 403):
        return _message(request, error.status_code, title, str(error.detail))
    text = (
        "Airflow asks you to log in first."
        if error.status_code == 401
        else "Airflow does not let you see the runs of this DAG; ask for permission, or log in as another user."
    )
    # Airflow's own way in, which leads back to this very path and to no other host.
    airflow = request.scope.get("app_root_path", "")
    back = f"{_root(request)}{quote(_path(request))}" + (f"?{request.url.query}" if request.url.query else "")
    login = f"{airflow}{_LOGIN}?next={quote(back, safe='')}"
    return _message(request, error.status_code, title, text, (login, "Log in"))


async def _show_invalid(request: Request, _: RequestValidationError) -> Response:
    return _message(request, 404, _TITLES[404], "The address is none of the gallery's.")


async def _show_error(request: Request, error: CloudsegError) -> Response:
    status, title = _verdict(error)
    if status >= 500:
        _log.warning("%s: %s", type(error).__name__, error)
    return _message(request, status, title, str(error))


def _verdict(error: CloudsegError) -> tuple[int, str]:
    """Status and title for an error."""
    if isinstance(error, BusyError):
        return 503, "Too much at once"
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
    """Path that the gallery is mounted under."""
    return str(request.scope.get("root_path", ""))


def _path(request: Request) -> str:
    """Path of the page within the gallery, decoded."""
    return str(request.scope["path"]).removeprefix(_root(request))
