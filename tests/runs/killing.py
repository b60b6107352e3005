"""A client of Cloud Storage that raises at a chosen request and all later ones, like a process after kill -9."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import requests
from google.cloud.storage import Client
from requests.adapters import HTTPAdapter

from cloudseg_ops.storage import Store


class KilledError(Exception):
    """The process was killed; nothing retries this error."""


class KillingTransport(HTTPAdapter):
    """Sends all requests before the chosen one, and raises at it and all later ones.

    Args:
        at: Number of the request, from 0, at which the process is killed; None: never.
        after: Whether that request still reaches the server; its response is discarded.
        before_request: Called with the number of each request before it is sent, to run concurrent operations.
    """

    def __init__(
        self, at: int | None, *, after: bool = False, before_request: Callable[[int], None] | None = None
    ) -> None:
        super().__init__(pool_maxsize=32)
        self.requests = 0
        self._at = at
        self._after = after
        self._before_request = before_request
        self._lock = Lock()

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        with self._lock:
            number = self.requests
            self.requests += 1
            if self._before_request:
                self._before_request(number)
        if self._at is not None and number > self._at:
            raise KilledError
        if number == self._at:
            if self._after:
                super().send(*args, **kwargs)
            raise KilledError
        return super().send(*args, **kwargs)


def store_over(client: Client, transport: KillingTransport) -> Store:
    """Return a store whose requests all go through `transport`."""
    client._http.mount("http://", transport)
    return Store(client)
