"""Latency and faults that tests can inject.

A fault applies to the first calls that match it and then expires. Status faults also apply to the individual calls in
a batch; cut connections and latency apply to the batch as a whole.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from .errors import ApiError

if TYPE_CHECKING:
    from starlette.types import Message, Send

Action = Literal["status", "cut_before", "cut_within", "cut_after", "empty", "half", "flip", "trickle", "no_checksums"]
ALTERATIONS = frozenset({"empty", "half", "flip", "trickle", "no_checksums"})
"""Actions that change the body of a response."""


@dataclass(frozen=True)
class Fault:
    """A fault to inject.

    Attributes:
        action: ``status`` returns ``status`` without executing the call; ``cut_before`` cuts the connection without
            executing the call; ``cut_within`` executes it and cuts the connection after the beginning of the response
            body; ``cut_after`` executes it and cuts the connection without a response. The others execute the call and
            change the response's body: ``empty`` removes it, ``half`` removes its second half, ``flip`` inverts a bit
            in its middle, ``trickle`` sends it a byte at a time, and ``no_checksums`` removes the objects' CRC32C, as
            in listings of a bucket with a default Cloud KMS key.
        method: the HTTP method; empty matches any.
        path: a regular expression, searched in the decoded path and query (``/storage/v1/b/x/o/a b?generation=1``).
        status: the status code of a ``status`` fault.
        message: the error message of a ``status`` fault; empty: one that names the call.
        seconds: the pause before each byte of a ``trickle``.
        times: number of matching calls to which the fault applies.
        skip: number of matching calls that pass first.
    """

    action: Action = "status"
    method: str = ""
    path: str = ""
    status: int = 503
    message: str = ""
    seconds: float = 0.05
    times: int = 1
    skip: int = 0

    @classmethod
    def of(cls, described: dict[str, Any]) -> Fault:
        """Create a fault from JSON.

        Raises:
            ApiError: 400 if a key or value is invalid; the message names it.
        """
        try:
            fault = cls(**described)
            re.compile(fault.path)
        except (TypeError, re.error) as error:
            raise ApiError(400, f"Invalid fault {described!r}: {error}.") from error
        if fault.action not in get_args(Action):
            raise ApiError(400, f"Unknown action {fault.action!r}: expected one of {get_args(Action)}.")
        if not all(isinstance(number, int) for number in (fault.status, fault.times, fault.skip)):
            raise ApiError(400, f"Invalid fault {described!r}: status, times and skip must be integers.")
        return fault


@dataclass
class _Planned:
    fault: Fault
    left: int
    skip: int


class FaultPlan:
    """The active faults; thread-safe."""

    def __init__(self, latency: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._planned: list[_Planned] = []
        self._initial_latency = latency
        self.latency = latency
        """Seconds by which every request is delayed."""

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        with self._lock:
            self._planned.append(_Planned(fault, fault.times, fault.skip))

    def clear(self) -> None:
        """Switch all faults off, and reset the latency to its initial value."""
        with self._lock:
            self._planned.clear()
            self.latency = self._initial_latency

    def pending(self) -> list[dict[str, Any]]:
        """Return the faults that have not expired."""
        with self._lock:
            return [asdict(plan.fault) | {"times": plan.left, "skip": plan.skip} for plan in self._planned]

    def take(self, method: str, target: str, *, only_status: bool = False) -> Fault | None:
        """Return the fault that applies to a call, if any, and count its use.

        Args:
            method: the call's HTTP method.
            target: the call's decoded path and query.
            only_status: consider only ``status`` faults.
        """
        if not self._planned:
            return None
        with self._lock:
            for plan in self._planned:
                fault = plan.fault
                if only_status and fault.action != "status":
                    continue
                if fault.method not in {"", method} or not re.search(fault.path, target):
                    continue
                if plan.skip > 0:
                    plan.skip -= 1
                    continue
                plan.left -= 1
                if plan.left <= 0:
                    self._planned.remove(plan)
                return fault
        return None


def altering(send: Send, fault: Fault) -> Send:
    """Wrap the `send` of a response so that the fault changes its body, and the Content-Length with it."""
    start: Message = {}
    over = False

    async def send_altered(message: Message) -> None:
        nonlocal start, over
        if message["type"] == "http.response.start":
            start = message
        elif start:
            body, over = _altered(fault.action, message.get("body", b"")), fault.action in {"empty", "half"}
            more = bool(message.get("more_body")) and not over
            await send(start if more else _with_length(start, len(body)))
            start = {}
            await _send_body(send, body, more=more, pause=fault.seconds if fault.action == "trickle" else 0)
        elif not over:
            await send(message)

    return send_altered


def _altered(action: Action, body: bytes) -> bytes:
    if action in {"empty", "half"}:
        return body[: len(body) // 2] if action == "half" else b""
    if action == "flip" and body:
        middle = len(body) // 2
        return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
    if action == "no_checksums":
        resource = json.loads(body)
        for item in [resource, *resource.get("items", ())]:
            item.pop("crc32c", None)
        return json.dumps(resource).encode()
    return body


def _with_length(start: Message, length: int) -> Message:
    headers = [(key, value) for key, value in start["headers"] if key.lower() != b"content-length"]
    return {**start, "headers": [*headers, (b"content-length", str(length).encode())]}


async def _send_body(send: Send, body: bytes, *, more: bool, pause: float) -> None:
    pieces = [body[at : at + 1] for at in range(len(body))] if pause else [body]
    for left, piece in zip(reversed(range(len(pieces))), pieces, strict=True):
        if pause:
            await asyncio.sleep(pause)
        await send({"type": "http.response.body", "body": piece, "more_body": more or left > 0})
