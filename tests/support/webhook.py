"""A webhook that records its requests, and can answer with an error or hang."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook:
    """The received requests, and the response to the next one."""

    def __init__(self) -> None:
        self.address = ""
        self.received: list[dict[str, Any]] = []
        self.status = 200
        self.hang = threading.Event()
        """While it is not set, requests are not answered."""
        self.hang.set()


@contextmanager
def start_webhook() -> Iterator[Webhook]:
    """Run a webhook on a free port, with a secret in its path."""
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.received.append(json.loads(body))
            webhook.hang.wait(60)
            self.send_response(webhook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    webhook.address = f"http://127.0.0.1:{server.server_address[1]}/services/very-secret"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield webhook
    finally:
        webhook.hang.set()
        server.shutdown()
        server.server_close()
