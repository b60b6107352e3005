"""The ASGI application: applies latency and faults, then handles the call."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from . import batch
from .errors import ApiError
from .faults import ALTERATIONS, altering
from .routes import find

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from .service import Service

_SOCKET_BUFFER_BYTES = 1 << 16
"""Bytes that a socket buffer accepts without waiting; buffered data beyond them is lost when a connection is cut."""


class Application:
    """Handles the requests to one `Service`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or cut its connection."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        raw_path = scope["raw_path"].decode("latin-1")
        if raw_path.startswith("/_emulator/"):
            response = await self._handle(request, raw_path)
        else:
            faults = self._service.faults
            if faults.latency:
                await asyncio.sleep(faults.latency)
            target = f"{unquote(raw_path)}?{scope['query_string'].decode('latin-1')}"
            fault = faults.take(request.method, target)
            if fault is not None and fault.action == "cut_before":
                await _cut(scope)
                return
            if fault is not None and fault.action == "status":
                self._service.count("faults.status")
                message = fault.message or f"Fault injected into {request.method} {target}"
                response = ApiError(fault.status, message).response()
            else:
                response = await self._handle(request, raw_path)
            if fault is not None and fault.action == "cut_after":
                await _cut(scope)
                return
            if fault is not None and fault.action == "cut_within":
                with suppress(_TruncatedError):
                    await response(scope, receive, _truncate(send))
                await _cut(scope)
                return
            if fault is not None and fault.action in ALTERATIONS:
                send = altering(send, fault)
        await response(scope, receive, send)

    async def _handle(self, request: Request, raw_path: str) -> Response:
        try:
            if request.method == "POST" and raw_path == batch.PATH:
                self._service.count("batch")
                return await batch.batch(self._service, request)
            route, names = find(request.method, raw_path)
            self._service.count(route.call)
            return await route.handler(self._service, request, names)
        except ApiError as error:
            return error.response()
        except ClientDisconnect:
            return Response(status_code=499)


class _TruncatedError(Exception):
    """Stops a response after its beginning."""


def _truncate(send: Send) -> Send:
    """Wrap `send`: pass the headers and half of the first piece of the body, at most the socket buffer, then raise."""

    async def send_truncated(message: Message) -> None:
        if message["type"] == "http.response.body":
            piece = message.get("body", b"")
            await send(
                {
                    "type": "http.response.body",
                    "body": piece[: min(len(piece) // 2, _SOCKET_BUFFER_BYTES)],
                    "more_body": True,
                }
            )
            raise _TruncatedError
        await send(message)

    return send_truncated


async def _cut(scope: Scope) -> None:
    """Abort the connection of a request without a response, as a network failure would."""
    scope["state"]["transport"].abort()
    # uvicorn notices the abort in the next loop iteration; until then it would still try to respond.
    await asyncio.sleep(0.01)
