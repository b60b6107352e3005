"""The gallery within Airflow's API server: addresses, Airflow's logins and permissions, HTTP.

Importing this costs nothing: Airflow loads plugins in each of its processes, and only the API server has pages to show.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

MOUNT = "/cloudseg"
"""Path below Airflow's own that the pages are mounted under."""

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class LateApp:
    """An ASGI application that is made when it gets its first request.

    Args:
        make: Makes it; called once.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._app: Any = None

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer a request."""
        if self._app is None:
            self._app = self._make()
        await self._app(scope, receive, send)


def _make_app() -> Any:
    from cloudseg_ops.gallery.web.application import make_app

    return make_app()


app = LateApp(_make_app)
"""What the plugin mounts."""
