"""The emulator as a server: in a background thread for tests, or in the foreground."""

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
    """HTTP as uvicorn speaks it, with the connection within reach of the application, which may have to cut it."""

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
            f"cannot listen on {host}:{port} ({error.strerror}): stop what listens there, or choose another port "
            "(0 takes any that is free)"
        ) from error
    return listener


class Emulator:
    """Cloud Storage on this machine.

    Attributes:
        url: where it listens, without a slash at the end.
        faults: the latency and failures to switch on.

    Raises:
        EmulatorStartError: the port is taken, or the directory belongs to a running emulator.
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
        """The latency and failures to switch on."""
        return self._service.faults

    def calls(self) -> dict[str, int]:
        """Return how many calls of each kind there were (``objects.insert``, ``objects.delete``, …)."""
        return self._service.calls()

    def client(self, project: str = "emulator") -> storage.Client:
        """Return a client of this emulator that asks for no credentials."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
        return storage.Client(project=project, credentials=credentials, client_options={"api_endpoint": self.url})

    def run(self) -> None:
        """Serve in the foreground until a signal ends it; says on standard output when it is ready."""
        print(f"listening on {self.url}", flush=True)
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._service.close()

    def start(self) -> Emulator:
        """Serve in a background thread, and return when it answers.

        Raises:
            EmulatorStartError: it does not within 30 seconds.
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
        directory: where its state lies, to be found again by the next start; None keeps it in memory.
        host: the address to listen on; only loopback keeps other machines out.
        port: the port; 0 takes any that is free.
        latency: seconds that every request waits before anything is done.

    Raises:
        EmulatorStartError: the port is taken, or the directory belongs to a running emulator.
    """
    return Emulator(directory, host=host, port=port, latency=latency).start()
