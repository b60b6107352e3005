"""Batches for servers that do not implement them, such as storage-testbench: the proxy sends each call separately."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from gcs_emulator.multipart import mixed_parts, split_headers
from tests.faults.messages import Message

_PATH = "/batch/storage/"


def is_batch(request: Message) -> bool:
    return request.start.split(" ")[1].startswith(_PATH)


async def forward_separately(request: Message, forward: Callable[[Message], Awaitable[Message]]) -> Message:
    """Return the response to a batch from the responses to its calls.

    Args:
        request: The batch.
        forward: Sends one call and returns its response.
    """
    boundary = f"batch_{uuid.uuid4().hex}"
    pieces = []
    for part in mixed_parts(request.body, request.header("Content-Type")):
        outer, call = split_headers(part)
        line, _, rest = call.partition(b"\n")
        headers, body = split_headers(rest)
        own = [(key, str(value)) for key, value in headers.items() if key.lower() != "host"]
        response = await forward(
            Message(line.decode("latin-1").strip(), [*own, ("Host", request.header("Host"))], body)
        )
        content_id = str(outer.get("Content-ID", "<>")).removeprefix("<")
        head = f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <response-{content_id}\r\n\r\n"
        pieces += [head.encode(), response.head(), response.body, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return Message("HTTP/1.1 200 OK", [("Content-Type", f"multipart/mixed; boundary={boundary}")], b"".join(pieces))
