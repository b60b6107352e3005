"""The gallery's web application in Airflow's API server: routes, logins, permissions and HTTP.

Importing this package is cheap, because Airflow loads plugins in every process but only the API server shows pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

MOUNT = "/cloudseg"
"""Path below Airflow's root where the pages are mounted."""

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class LateApp:
    """An ASGI application that is created at its first request.

    Args:
        make: Creates the application; called once.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._app: Any = None

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Forward a request to the application."""
        if self._app is None:
            self._app = self._make()
        await self._app(scope, receive, send)


def _make_app() -> Any:
    from cloudseg_ops.gallery.web.application import make_app

    return make_app()


app = LateApp(_make_app)
"""The application that the plugin mounts."""
