"""HTTP/1.1 messages as bytes, read and written without a library, so that the proxy can break them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass
class Message:
    """A request or a response.

    Attributes:
        start: The request line or the status line.
        headers: Name and value of each header.
        body: The body, without transfer encoding.
    """

    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def head(self, length: int | None = None, *more: tuple[str, str]) -> bytes:
        """Return start and headers with a `Content-Length`, by default that of the body."""
        kept = [(key, value) for key, value in self.headers if key.lower() not in _OWN]
        lines = [self.start, *(f"{key}: {value}" for key, value in (*kept, *more))]
        lines.append(f"Content-Length: {len(self.body) if length is None else length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


_OWN = frozenset({"content-length", "transfer-encoding", "connection"})


async def read_message(reader: asyncio.StreamReader, *, is_response: bool = False) -> Message | None:
    """Read a message; None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    start, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    headers = [(key, value.strip()) for key, _, value in (line.partition(":") for line in lines)]
    message = Message(start, headers)
    if "chunked" in message.header("Transfer-Encoding").lower():
        message.body = await _read_chunks(reader)
    elif length := message.header("Content-Length"):
        message.body = await reader.readexactly(int(length))
    elif is_response and start.split()[1] not in ("204", "304"):
        message.body = await reader.read()
    return message


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        pieces.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(pieces)
