"""Batches: up to 100 calls in one ``multipart/mixed`` request (https://cloud.google.com/storage/docs/batch)."""

from __future__ import annotations

import http
import uuid
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from .errors import ApiError
from .multipart import mixed_parts, split_headers
from .routes import find

if TYPE_CHECKING:
    from email.message import Message

    from starlette.types import Message as Event

    from .service import Service

PATH = "/batch/storage/v1"
MAX_CALLS = 100
"""Maximum number of calls in a batch."""


def _inner_request(outer: Request, line: str, headers: Message, body: bytes) -> Request:
    """Build the request that a part describes, as if it had been sent separately."""
    words = line.split()
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise ApiError(400, f"Failed to parse batch request, error: malformed request line {line!r}.")
    target = urlsplit(words[1])
    own = [(key.lower().encode(), str(value).encode()) for key, value in headers.items() if key.lower() != "host"]
    scope = {
        **outer.scope,
        "method": words[0],
        "path": unquote(target.path),
        "raw_path": target.path.encode(),
        "query_string": target.query.encode(),
        "headers": [*own, (b"host", outer.headers.get("host", "").encode())],
    }

    async def receive() -> Event:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive)


async def _perform(service: Service, request: Request) -> Response:
    path = request.scope["raw_path"].decode()
    fault = service.faults.take(request.method, f"{unquote(path)}?{request.url.query}", only_status=True)
    if fault is not None:
        raise ApiError(fault.status, f"Fault injected into {request.method} {path}.")
    if not path.startswith("/storage/v1/") or request.query_params.get("alt") == "media":
        raise ApiError(400, f"A batch cannot contain uploads or downloads: {request.method} {path}")
    route, names = find(request.method, path)
    service.count(route.call)
    return await route.handler(service, request, names)


def _render(content_id: str | None, response: Response) -> bytes:
    head = [f"HTTP/1.1 {response.status_code} {http.HTTPStatus(response.status_code).phrase}"]
    head += [f"{key.title()}: {value}" for key, value in response.headers.items()]
    outer = ["Content-Type: application/http"]
    if content_id:
        outer.append("Content-ID: <response-" + content_id.removeprefix("<"))
    return "\r\n".join([*outer, "", *head, "", ""]).encode() + bytes(response.body)


async def batch(service: Service, request: Request) -> Response:
    """Handle each part separately, in order.

    Raises:
        ApiError: 400 if the body cannot be parsed or contains more than 100 calls.
    """
    parts = mixed_parts(await request.body(), request.headers.get("content-type", ""))
    if not parts:
        raise ApiError(400, "Failed to parse batch request, error: it contains no calls.")
    if len(parts) > MAX_CALLS:
        raise ApiError(400, f"The batch request contains {len(parts)} calls; at most {MAX_CALLS} are allowed.")
    boundary = f"batch_{uuid.uuid4().hex}"
    body_parts: list[bytes] = []
    for part in parts:
        outer, call = split_headers(part)
        line, _, rest = call.partition(b"\n")
        headers, body = split_headers(rest)
        try:
            inner = _inner_request(request, line.decode("latin-1").strip(), headers, body)
            response = await _perform(service, inner)
        except ApiError as error:
            response = error.response()
        body_parts.append(f"--{boundary}\r\n".encode() + _render(outer.get("Content-ID"), response) + b"\r\n")
    body_parts.append(f"--{boundary}--\r\n".encode())
    return Response(b"".join(body_parts), headers={"Content-Type": f"multipart/mixed; boundary={boundary}"})
