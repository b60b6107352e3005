"""A minimal stand-in for Cloud Storage's JSON API, for rates that the repository's emulator cannot reach.

Several worker processes share one loopback port. Input photographs are a few files in memory that are served under any
number of names: photo-0000009.jpg is file 9 modulo their number. Upload times of masks are recorded, and the first few
masks are kept; listings of OUTPUT are empty. STAGING is a folder, which also has the results. Nothing else is served.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import uvicorn

from benchmarks.emulator import INPUT, OUTPUT
from benchmarks.gpu.resources import (
    GENERATION,
    PHOTOGRAPH,
    Headers,
    HttpResponse,
    crc32c_of,
    mask_number,
    object_resource,
    photo_name,
    staged_path,
)
from gcs_emulator.errors import ApiError
from gcs_emulator.multipart import related_parts

_OBJECT = re.compile(r"^(?P<kind>/download|/upload)?/storage/v1/b/(?P<bucket>[^/]+)/o(?:/(?P<name>[^/]+))?$")
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class StorageStandIn:
    """One worker.

    Args:
        folder: Has `photographs/`, `staged/<bucket>/`, `kept/`, `sessions/` and `masks/`.
        latency: Delay of each request, seconds.
        listed: Number of photographs in a listing of INPUT.
        kept: Number of masks to keep, those of the first photographs.
    """

    def __init__(self, folder: Path, latency: float, listed: int, kept: int) -> None:
        self._folder = folder
        self._latency = latency
        self._listed = listed
        self._kept = kept
        files = [path.read_bytes() for path in sorted((folder / "photographs").iterdir())]
        self._photographs = [(data, crc32c_of(data)) for data in files]
        # Each line is appended by one write, so that nothing is lost when this process is killed.
        self._masks = os.open(folder / "masks" / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Handle one ASGI request."""
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await asyncio.sleep(self._latency)
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        try:
            response = self.handle(scope["method"], scope["raw_path"].decode(), scope["query_string"], headers, body)
        except ApiError as error:
            response = HttpResponse(400, str(error).encode())
        length = (b"content-length", str(len(response.body)).encode())
        pairs = [(key.encode(), value.encode()) for key, value in response.headers.items()]
        await send({"type": "http.response.start", "status": response.status, "headers": [length, *pairs]})
        await send({"type": "http.response.body", "body": response.body})

    def handle(self, method: str, path: str, query: bytes, headers: Headers, body: bytes) -> HttpResponse:
        """Return the response to a request."""
        found = _OBJECT.match(path)
        if not found:
            return HttpResponse(404, f"{method} {path} is not served here".encode())
        kind, bucket, name = found["kind"], unquote(found["bucket"]), unquote(found["name"] or "")
        if kind == "/upload":
            options = {key: values[0] for key, values in parse_qs(query.decode()).items()}
            return self._upload(bucket, options, headers, body)
        if method == "DELETE":
            return HttpResponse(204)
        if method != "GET":
            return HttpResponse(404, f"{method} {path} is not served here".encode())
        if not name:
            return self._list(bucket)
        return self._read(bucket, name, headers, media=kind == "/download" or b"alt=media" in query)

    def _list(self, bucket: str) -> HttpResponse:
        names = [photo_name(number) for number in range(self._listed)] if bucket == INPUT else []
        described = (self._object(bucket, name) for name in names)
        items = [object_resource(bucket, *one[:3]) for one in described if one]
        return HttpResponse.json({"kind": "storage#objects", "items": items})

    def _object(self, bucket: str, name: str) -> tuple[str, int, str, bytes] | None:
        """Return name, size, CRC32C and bytes; None if there is no such object."""
        if bucket == INPUT and (found := PHOTOGRAPH.search(name)):
            data, crc32c = self._photographs[int(found[1]) % len(self._photographs)]
            return name, len(data), crc32c, data
        path = staged_path(self._folder, bucket, name)
        if bucket != OUTPUT and path.is_file():
            data = path.read_bytes()
            return name, len(data), crc32c_of(data), data
        return None

    def _read(self, bucket: str, name: str, headers: Headers, *, media: bool) -> HttpResponse:
        one = self._object(bucket, name)
        if one is None:
            return HttpResponse(404, f"no object gs://{bucket}/{name}".encode())
        _, size, crc32c, data = one
        if not media:
            return HttpResponse.json(object_resource(bucket, name, size, crc32c))
        response_headers = {
            "content-type": "application/octet-stream",
            "x-goog-hash": f"crc32c={crc32c}",
            "x-goog-generation": str(GENERATION),
            "x-goog-stored-content-encoding": "identity",
        }
        requested = re.match(r"bytes=(\d+)-(\d*)$", headers.get("range", ""))
        if not requested:
            return HttpResponse(200, data, response_headers)
        start, end = int(requested[1]), min(int(requested[2] or size - 1), size - 1)
        if start > end:
            return HttpResponse(416, b"", response_headers)
        return HttpResponse(
            206, data[start : end + 1], {**response_headers, "content-range": f"bytes {start}-{end}/{size}"}
        )

    def _upload(self, bucket: str, options: dict[str, str], headers: Headers, body: bytes) -> HttpResponse:
        if options.get("uploadType") == "multipart":
            resource, _, data = related_parts(body, headers["content-type"])
            return self._store(bucket, json.loads(resource), data)
        if "upload_id" in options:
            return self._continue(bucket, options["upload_id"], headers, body)
        session = uuid.uuid4().hex
        resource = json.loads(body or b"{}")
        resource.setdefault("name", options.get("name"))
        self._session(session, "json").write_text(json.dumps(resource), "utf-8")
        self._session(session, "part").touch()
        url = f"http://{headers['host']}/upload/storage/v1/b/{quote(bucket)}/o?uploadType=resumable&upload_id={session}"
        return HttpResponse(200, b"", {"location": url})

    def _continue(self, bucket: str, session: str, headers: Headers, body: bytes) -> HttpResponse:
        """Receive another part of a resumable upload; any worker may get it, so its state is in files."""
        part = self._session(session, "part")
        with part.open("ab") as stream:
            stream.write(body)
        found = _CONTENT_RANGE.match(headers.get("content-range", ""))
        received = part.stat().st_size
        if found and (found[3] == "*" or int(found[3]) > received):
            return HttpResponse(308, b"", {"range": f"bytes=0-{received - 1}"} if received else {})
        resource = json.loads(self._session(session, "json").read_text("utf-8"))
        return self._store(bucket, resource, part.read_bytes())

    def _session(self, session: str, suffix: str) -> Path:
        return self._folder / "sessions" / f"{session}.{suffix}"

    def _store(self, bucket: str, resource: dict[str, Any], data: bytes) -> HttpResponse:
        name, crc32c = resource["name"], crc32c_of(data)
        if resource.get("crc32c", crc32c) != crc32c:
            return HttpResponse(400, f"{name}: its bytes do not match the given CRC32C".encode())
        if bucket == OUTPUT:
            os.write(self._masks, f"{time.time():.4f} {name}\n".encode())
            if mask_number(name) < self._kept:
                (self._folder / "kept" / quote(name, safe="")).write_bytes(data)
        else:
            path = staged_path(self._folder, bucket, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return HttpResponse.json(object_resource(bucket, name, len(data), crc32c, resource.get("metadata")))


def bind(port: int) -> socket.socket:
    """Bind a loopback port that several processes share; the kernel distributes connections among them."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    return listener


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        print("ready", flush=True)


def main(folder: str, port: str, settings: str) -> None:
    """Serve until a signal arrives."""
    app = StorageStandIn(Path(folder), **json.loads(settings))
    config = uvicorn.Config(
        app, lifespan="off", log_level="warning", access_log=False, timeout_keep_alive=120, timeout_graceful_shutdown=1
    )
    _Server(config).run(sockets=[bind(int(port))])


if __name__ == "__main__":
    main(*sys.argv[1:])
