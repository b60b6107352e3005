"""A proxy between clients and a storage server that injects faults by a schedule: `python -m tests.faults.proxy …`.

`GET /_faults` returns the counts as JSON, and `POST /_faults` with `{"rate": 0.1}` changes the rate.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import struct
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.faults.batches import forward_separately, is_batch
from tests.faults.messages import Message, read_message
from tests.faults.schedule import Schedule

PAUSE_SECONDS = 1.2
"""How long a stall lasts: longer than the steps' deadline for a request."""
TRICKLE_SECONDS = 0.2
_GHOST_SECONDS = 0.5
_TOKEN = "fault."
"""What the token of an empty page begins with; the rest is the token that the client had."""


class Proxy:
    """Forwards requests to the emulator, and breaks some of them.

    Args:
        host: Host of the server.
        port: Port of the server.
        schedule: Which requests it breaks.
        split_batches: Whether to send the calls of a batch separately, because the server has no batches.
    """

    def __init__(self, host: str, port: int, schedule: Schedule, *, split_batches: bool = False) -> None:
        self._host = host
        self._port = port
        self._schedule = schedule
        self._split_batches = split_batches
        self._ghosts: set[asyncio.Task[object]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while (request := await read_message(reader)) is not None:
                if not await self._answer(request, writer):
                    break
        with contextlib.suppress(ConnectionError, OSError):
            writer.close()

    async def _answer(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; return whether the connection stays open."""
        method, target, _ = request.start.split(" ", 2)
        if target.startswith("/_faults"):
            return await _send(writer, self._control(method, request.body))
        target = _restored(request, target)
        kind = self._schedule.decide(method, target)
        if kind is None:
            return await _send(writer, await self._forward(request))
        if kind.startswith("status"):
            return await _send(writer, _error(int(kind.split()[1])))
        name = f"_inject_{kind.replace(' ', '_')}"
        done: bool = await getattr(self, name)(request, writer)
        return done

    async def _forward(self, request: Message) -> Message:
        if self._split_batches and is_batch(request):
            return await forward_separately(request, self._send_on)
        return await self._send_on(request)

    async def _send_on(self, request: Message) -> Message:
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
            writer.write(request.head(None, ("Connection", "close")) + request.body)
            response = await read_message(reader, is_response=True)
            writer.close()
        except (ConnectionError, OSError, asyncio.IncompleteReadError):
            response = None
        # The emulator has been killed: to the client, that is a gateway without a server.
        return response or _error(502)

    def _control(self, method: str, body: bytes) -> Message:
        if method == "POST":
            self._schedule.rate = float(json.loads(body)["rate"])
        found = {"requests": self._schedule.requests, "injected": dict(self._schedule.injected)}
        return _json(200, found)

    async def _inject_reset_before(self, _: Message, writer: asyncio.StreamWriter) -> bool:
        return _reset(writer)

    async def _inject_reset_after(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        await self._forward(request)
        return _reset(writer)

    async def _inject_half_body(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        response = await self._forward(request)
        writer.write(response.head() + response.body[: len(response.body) // 2])
        await writer.drain()
        return False

    async def _inject_short_body(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        response = await self._forward(request)
        response.body = response.body[: len(response.body) // 2]
        return await _send(writer, response)

    async def _inject_wrong_byte(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        response = await self._forward(request)
        if response.body:
            wrong = bytearray(response.body)
            wrong[len(wrong) // 3] ^= 0x10
            response.body = bytes(wrong)
        return await _send(writer, response)

    async def _inject_gzip_lie(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        response = await self._forward(request)
        response.headers.append(("Content-Encoding", "gzip"))
        return await _send(writer, response)

    async def _inject_stall(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        await self._forward(request)
        await asyncio.sleep(PAUSE_SECONDS)
        return False

    async def _inject_trickle(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        response = await self._forward(request)
        writer.write(response.head())
        for byte in response.body[: int(2 * PAUSE_SECONDS / TRICKLE_SECONDS)]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(TRICKLE_SECONDS)
        return False

    async def _inject_duplicate(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        await self._forward(request)
        return await _send(writer, await self._forward(request))

    async def _inject_late_ghost(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        async def later() -> None:
            await asyncio.sleep(_GHOST_SECONDS)
            await self._forward(request)

        task = asyncio.create_task(later())
        self._ghosts.add(task)
        task.add_done_callback(self._ghosts.discard)
        return await _send(writer, _error(503))

    async def _inject_empty_200(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        await self._forward(request)
        return await _send(writer, Message("HTTP/1.1 200 OK"))

    async def _inject_tiny_page(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        _set_query(request, maxResults="2")
        return await _send(writer, await self._forward(request))

    async def _inject_empty_page(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        token = dict(parse_qsl(urlsplit(request.start.split(" ")[1]).query)).get("pageToken", "")
        return await _send(writer, _json(200, {"kind": "storage#objects", "nextPageToken": _TOKEN + token}))


def _restored(request: Message, target: str) -> str:
    """Undo the token of an empty page in a request, and return its target."""
    token = dict(parse_qsl(urlsplit(target).query)).get("pageToken", "")
    if token.startswith(_TOKEN):
        _set_query(request, pageToken=token.removeprefix(_TOKEN))
    return request.start.split(" ")[1]


def _set_query(request: Message, **values: str) -> None:
    method, target, version = request.start.split(" ", 2)
    parts = urlsplit(target)
    query = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **values}
    asked = urlencode({key: value for key, value in query.items() if value})
    request.start = f"{method} {parts.path}?{asked} {version}"


def _json(status: int, document: object) -> Message:
    body = json.dumps(document).encode()
    return Message(f"HTTP/1.1 {status} Injected", [("Content-Type", "application/json")], body)


def _error(status: int) -> Message:
    return _json(status, {"error": {"code": status, "message": "injected", "errors": [{"reason": "injected"}]}})


async def _send(writer: asyncio.StreamWriter, response: Message) -> bool:
    writer.write(response.head() + response.body)
    await writer.drain()
    return True


def _reset(writer: asyncio.StreamWriter) -> bool:
    # Without lingering, the kernel sends a reset instead of an orderly end.
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


async def _run(options: argparse.Namespace) -> None:
    schedule, at = Schedule(options.seed, options.rate), urlsplit(options.upstream)
    proxy = Proxy(at.hostname or "127.0.0.1", at.port or 80, schedule, split_batches=options.split_batches)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", options.port, limit=2**24)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--upstream", required=True, help="address of the server, `http://host:port`")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--split-batches", action="store_true", help="send the calls of a batch separately")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
