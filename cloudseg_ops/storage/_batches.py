"""Batch requests: many calls in one, each with its own answer (cloud.google.com/storage/docs/batch).

The client's own `Batch` writes and reads each call through several e-mail messages, which takes ten times as long,
and pairs answers with calls by their order alone.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from google.cloud.storage import Client

_TIMEOUT = 60.0  # seconds that one request may take, as the client has it
_CONTENT_ID = re.compile(rb"^content-id:\s*<?response-call-(\d+)>?\s*$", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(rb"^HTTP/\S+ (\d{3})", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a batch, without a body.

    Attributes:
        method: Its HTTP method.
        path: Below `/storage/v1`, percent-encoded.
        query: Its parameters.
    """

    method: str
    path: str
    query: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one call.

    Attributes:
        status: Its HTTP status.
        reason: What Cloud Storage says of an error; empty where it says nothing.
    """

    status: int
    reason: str


def perform(client: Client, calls: Sequence[Call]) -> list[Answer]:
    """Send calls as one request; it is sent once.

    Returns:
        The answers in the order of the calls.

    Raises:
        GoogleAPICallError: The request as a whole was refused, or an answer is missing.
    """
    from google.api_core.exceptions import from_http_response

    boundary = f"batch-{uuid.uuid4().hex}"
    response = client._connection._make_request(
        "POST",
        f"{client._connection.API_BASE_URL}/batch/storage/v1",
        data=_body(calls, boundary),
        headers={"Content-Type": f"multipart/mixed; boundary={boundary}"},
        timeout=_TIMEOUT,
    )
    if not 200 <= response.status_code < 300:
        raise from_http_response(response)  # type: ignore[no-untyped-call]
    return _answers(response.content, response.headers.get("Content-Type", ""), len(calls))


def _body(calls: Sequence[Call], boundary: str) -> bytes:
    parts = [
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <call-{number}>\r\n\r\n"
        f"{call.method} /storage/v1{call.path}?{urlencode(call.query)} HTTP/1.1\r\n\r\n\r\n"
        for number, call in enumerate(calls)
    ]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()


def _answers(body: bytes, content_type: str, expected: int) -> list[Answer]:
    from google.api_core.exceptions import ServiceUnavailable

    header = Message()
    header["Content-Type"] = content_type
    boundary = f"--{header.get_param('boundary', '')}".encode()
    answers: dict[int, Answer] = {}
    # Its first piece is a preamble, its last one what follows the end.
    for part in body.split(boundary)[1:-1]:
        number, status = _CONTENT_ID.search(part), _STATUS.search(part)
        if number and status:
            answers[int(number[1])] = Answer(int(status[1]), _reason(part) if int(status[1]) >= 400 else "")
    missing = expected - len(answers)
    if missing or max(answers, default=-1) >= expected:
        raise ServiceUnavailable(  # type: ignore[no-untyped-call]
            f"the answer to a batch of {expected} calls lacks {missing} of them: {body[:200]!r}"
        )
    return [answers[number] for number in range(expected)]


def _reason(part: bytes) -> str:
    begin = part.find(b"{")
    if begin < 0:
        return ""
    try:
        return str(json.loads(part[begin:])["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return part[begin : begin + 200].decode(errors="replace")
