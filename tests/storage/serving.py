"""Wraps the emulator's application to record requests or to change responses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gcs_emulator import Emulator

Wrap = Callable[[ASGIApp], ASGIApp]


@contextmanager
def served(wrap: Wrap) -> Iterator[Emulator]:
    """Run an emulator whose application is wrapped."""
    emulator = Emulator()
    config = emulator._server.config
    config.app = wrap(config.app)  # type: ignore[arg-type]
    with emulator.start():
        emulator.client().create_bucket("bucket")
        yield emulator


def header(scope: Scope, name: str) -> str:
    """Return a header of a request; empty if it has none of that name."""
    return next((value.decode() for key, value in scope["headers"] if key.decode().lower() == name.lower()), "")


def without_request_header(name: str) -> Wrap:
    """A server that ignores a request header."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                scope["headers"] = [item for item in scope["headers"] if item[0].decode().lower() != name]
            await app(scope, receive, send)

        return call

    return wrap


def without_response_header(name: str) -> Wrap:
    """A server that omits a response header."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            async def filtered(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [item for item in message["headers"] if item[0].decode().lower() != name]
                await send(message)

            await app(scope, receive, filtered)

        return call

    return wrap


def recording(seen: list[dict[str, Any]]) -> Wrap:
    """A server that records the method, path and headers of each request."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
                seen.append({"method": scope["method"], "path": scope["path"], **headers})
            await app(scope, receive, send)

        return call

    return wrap
