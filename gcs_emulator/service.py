"""The state that the handlers share, and their helpers."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from .errors import ApiError
from .faults import FaultPlan
from .sessions import Sessions
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    Handler = Callable[["Service", Request, dict[str, str]], Awaitable[Response]]

MAX_NAME_BYTES = 1024
"""Maximum length of an object name in UTF-8 (https://cloud.google.com/storage/docs/objects#naming)."""


class Service:
    """The state of an emulator: its store, open uploads, faults and counters."""

    def __init__(self, directory: Path | None = None, latency: float = 0.0) -> None:
        self.store = Store(directory)
        self.sessions = Sessions(self.store)
        self.faults = FaultPlan(latency)
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()

    def count(self, call: str) -> None:
        """Count one call of a kind."""
        with self._lock:
            self._calls[call] += 1

    def calls(self) -> dict[str, int]:
        """Return the number of calls of each kind."""
        with self._lock:
            return dict(self._calls)

    def close(self) -> None:
        """Drop the open uploads and release the directory."""
        self.sessions.close()
        self.store.close()


def base_url(request: Request) -> str:
    """Return the scheme and host at which the client reaches the emulator."""
    scope = request.scope
    # Faster than `request.url`, which parses the whole URL.
    host = request.headers.get("host") or ":".join(map(str, scope["server"]))
    return f"{scope['scheme']}://{host}"


def parse_resource(body: bytes) -> dict[str, Any]:
    """Parse a JSON resource; an empty body is an empty resource.

    Raises:
        ApiError: 400 if the body is not a JSON object.
    """
    if not body.strip():
        return {}
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise ApiError(400, f"Parse Error: the body is not JSON ({error}).") from error
    if not isinstance(parsed, dict):
        raise ApiError(400, "Parse Error: the body is not a JSON object.")
    return parsed


async def resource_of(request: Request) -> dict[str, Any]:
    """Return the JSON resource in a request's body."""
    return parse_resource(await request.body())


def check_object_name(name: str) -> None:
    """Check an object name against Cloud Storage's rules.

    Raises:
        ApiError: 400 if the name is invalid.
    """
    if not name:
        raise ApiError(400, "Required: an object must have a name.")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise ApiError(400, f"The maximum object length is {MAX_NAME_BYTES} characters, but got a name with "
                            f"{len(name.encode())} characters: '{name[:40]}'...")  # fmt: skip
    if name in {".", ".."} or name.startswith(".well-known/acme-challenge/") or re.search(r"[\r\n]", name):
        raise ApiError(400, f"Disallowed object name: {name!r}.")
