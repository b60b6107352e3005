"""Runs the emulator's HTTP server, in a background thread or in the foreground."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .app import Application
from .errors import EmulatorStartError
from .service import Service

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType

    from google.cloud import storage

    from .faults import FaultPlan

_START_SECONDS = 30.0
_BACKLOG = 2048


class _CuttableProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type] # chosen at run time
    """uvicorn's HTTP protocol, with the transport in the application's state so that it can cut the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.app_state: dict[str, Any] = {**self.app_state, "transport": transport}


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise EmulatorStartError(
            f"cannot listen on {host}:{port} ({error.strerror}): stop the process that listens there, or choose "
            "another port (0 picks a free one)"
        ) from error
    return listener


class Emulator:
    """A Cloud Storage emulator on this machine.

    Attributes:
        url: base URL, without a trailing slash.
        faults: latency and faults to inject.

    Raises:
        EmulatorStartError: the port is taken, or another emulator uses the directory.
    """

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        latency: float = 0.0,
    ) -> None:
        self._listener = _listen(host, port)
        try:
            self._service = Service(None if directory is None else Path(directory), latency)
        except BaseException:
            self._listener.close()
            raise
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(
            Application(self._service),
            http=cast("Any", _CuttableProtocol),
            lifespan="off",
            log_level="error",
            access_log=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def faults(self) -> FaultPlan:
        """Latency and faults to inject."""
        return self._service.faults

    def calls(self) -> dict[str, int]:
        """Return the number of calls of each kind (``objects.insert``, ``objects.delete``, …)."""
        return self._service.calls()

    def client(self, project: str = "emulator") -> storage.Client:
        """Return a client of this emulator that needs no credentials."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
        return storage.Client(project=project, credentials=credentials, client_options={"api_endpoint": self.url})

    def run(self) -> None:
        """Serve in the foreground until interrupted by a signal; prints the address when ready."""
        print(f"listening on {self.url}", flush=True)
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._service.close()

    def start(self) -> Emulator:
        """Serve in a background thread, and return once the server is ready.

        Raises:
            EmulatorStartError: the server is not ready within 30 seconds.
        """
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="emulator", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise EmulatorStartError(f"the emulator on {self.url} did not start within {_START_SECONDS:.0f} s")
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """Stop serving and release the port and the directory."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._listener.close()
        self._service.close()

    def __enter__(self) -> Emulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_emulator(
    directory: str | Path | None = None, *, host: str = "127.0.0.1", port: int = 0, latency: float = 0.0
) -> Emulator:
    """Start an emulator in a background thread; use it as a context manager, or call ``stop()``.

    Args:
        directory: folder for the state, which a later start can reuse; None keeps the state in memory.
        host: address to listen on; with any other than loopback, other machines can connect.
        port: port to listen on; 0 picks a free one.
        latency: seconds by which every request is delayed.

    Raises:
        EmulatorStartError: the port is taken, or another emulator uses the directory.
    """
    return Emulator(directory, host=host, port=port, latency=latency).start()
