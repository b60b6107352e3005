"""A TCP proxy between Airflow and the Kubernetes API, which can make the API server unreachable."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import yaml


class ApiServerProxy:
    """Forwards TCP from a loopback port to a server, unless it is blocked."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open = threading.Event()
        self._open.set()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Close all connections and refuse new ones."""
        self._open.clear()
        with self._lock:
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        try:
            yield
        finally:
            self._open.set()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                incoming, _ = self._listener.accept()
            except OSError:
                return
            if not self._open.is_set():
                incoming.close()
                continue
            try:
                outgoing = socket.create_connection(self._target, timeout=10)
            except OSError:
                incoming.close()
                continue
            outgoing.settimeout(None)
            with self._lock:
                self._sockets |= {incoming, outgoing}
            for source, sink in ((incoming, outgoing), (outgoing, incoming)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._sockets.discard(end)


def proxied_kubeconfig(kubeconfig: Path, written: Path) -> ApiServerProxy:
    """Write a kubeconfig whose current cluster is behind a proxy, and return the proxy."""
    document = yaml.safe_load(kubeconfig.read_text())
    cluster = _current_cluster(document)
    server = urlsplit(cluster["server"])
    proxy = ApiServerProxy(str(server.hostname), server.port or 443)
    cluster["server"] = f"https://127.0.0.1:{proxy.port}"
    # The certificate is for the original host name.
    if not cluster.get("insecure-skip-tls-verify"):
        cluster["tls-server-name"] = str(server.hostname)
    written.write_text(yaml.safe_dump(document))
    written.chmod(0o600)
    return proxy


def _current_cluster(document: dict[str, object]) -> dict[str, str]:
    contexts = {item["name"]: item["context"] for item in document["contexts"]}  # type: ignore[attr-defined]
    name = contexts[document["current-context"]]["cluster"]
    return next(item["cluster"] for item in document["clusters"] if item["name"] == name)  # type: ignore[attr-defined]
