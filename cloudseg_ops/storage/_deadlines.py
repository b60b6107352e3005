"""Limits the duration of every HTTP request, however slowly its bytes arrive.

A socket's timeout limits the pause between two bytes, so a response of one byte every 20 s would never end. Here, each
direction of a request may take `GRACE_SECONDS`, plus a second for each `MIN_BYTES_PER_SECOND` that it has transferred.
The connections check this before they wait on their socket: that costs a microsecond, and needs neither a thread nor a
timer per request.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from requests import Session
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

GRACE_SECONDS = 60.0
"""Seconds that sending a request, and receiving its response, may each take in addition to the time for their bytes."""
MIN_BYTES_PER_SECOND = 32 * 1024
"""Average rate below which a request ends after the grace period: a photograph of 10 MB may take six minutes."""
_SEND_PIECE = 64 * 1024


def limit_durations(session: Session) -> None:
    """Limit the duration of the requests of a session, whichever adapters it has or gets later.

    The adapters stay mounted and only create other connections, because a new adapter would lack the client certificate
    of mutual TLS.
    """
    find = session.get_adapter
    limited: WeakSet[BaseAdapter] = WeakSet()

    def get_adapter(url: str | bytes) -> BaseAdapter:
        adapter = find(url)  # type: ignore[arg-type]
        if adapter not in limited:
            limited.add(adapter)
            if isinstance(adapter, HTTPAdapter):
                _limit(adapter)
        return adapter

    session.get_adapter = get_adapter  # type: ignore[method-assign]


def _limit(adapter: HTTPAdapter) -> None:
    make_proxy_manager: Callable[..., Any] = adapter.proxy_manager_for

    def proxy_manager_for(*arguments: Any, **options: Any) -> Any:
        manager = make_proxy_manager(*arguments, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    adapter.proxy_manager_for = proxy_manager_for  # type: ignore[method-assign]
    adapter.poolmanager.pool_classes_by_scheme = _POOLS
    # Connections that were opened without a limit are not used again.
    adapter.poolmanager.clear()


class _Clock:
    """The time left for one direction of a request, given the bytes that it has transferred."""

    __slots__ = ("_started", "transferred")

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.transferred = 0

    def limit(self, sock: socket.socket, idle: float | None) -> None:
        """Set the timeout of a socket to the time left, at most `idle`.

        Raises:
            TimeoutError: No time is left.
        """
        spent = time.monotonic() - self._started
        left = GRACE_SECONDS + self.transferred / MIN_BYTES_PER_SECOND - spent
        if left <= 0:
            raise TimeoutError(f"only {self.transferred:,} bytes were transferred in {spent:.0f} s")
        sock.settimeout(left if idle is None else min(idle, left))


class _LimitedInput(io.RawIOBase):
    """The bytes of a response from a socket, within the limit."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._idle = sock.gettimeout()
        self._clock = _Clock()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._clock.limit(self._sock, self._idle)
        count: int | None = self._raw.readinto(buffer)
        self._clock.transferred += count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_LimitedInput(self.fp.detach(), sock))


class _LimitedConnection(HTTPConnection):
    response_class = _LimitedResponse
    _clock: _Clock | None = None

    def putrequest(self, *arguments: Any, **options: Any) -> None:
        self._clock = None
        super().putrequest(*arguments, **options)

    def send(self, data: Any) -> None:
        """Send data in pieces, because the timeout of a plain socket applies to each call as a whole."""
        if not isinstance(data, bytes | bytearray):
            self._send_piece(data)
            return
        view = memoryview(data)
        for start in range(0, len(view), _SEND_PIECE):
            self._send_piece(view[start : start + _SEND_PIECE])

    def _send_piece(self, piece: Any) -> None:
        if self.sock is not None and self._clock is not None:
            self._clock.limit(self.sock, None)
        # The first call of a new connection connects, which has its own timeout.
        super().send(piece)
        self._clock = self._clock or _Clock()
        self._clock.transferred += len(piece) if hasattr(piece, "__len__") else 0


class _LimitedHttpsConnection(_LimitedConnection, HTTPSConnection):
    pass


class _LimitedPool(HTTPConnectionPool):
    ConnectionCls = _LimitedConnection


class _LimitedHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _LimitedHttpsConnection


_POOLS = {"http": _LimitedPool, "https": _LimitedHttpsPool}
