"""The processes of a world: the emulator, which may be killed, or another server, and the proxy before it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support.running import free_port

_START_SECONDS = 60
_TIMEOUT = 30


class EmulatorProcess:
    """An emulator in a separate process.

    Args:
        directory: Its state, which survives its death.
    """

    def __init__(self, directory: Path) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._directory = directory
        self._process = self._start()

    def kill(self) -> None:
        """Kill it with SIGKILL, and start it again on the same state and port."""
        self.stop()
        self._process = self._start()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "ignore", "-m", "gcs_emulator", "--port", str(self._port)]
        process = subprocess.Popen([*command, "--directory", str(self._directory)], stdout=subprocess.DEVNULL)
        _await(f"{self.url}/storage/v1/b?project=p")
        return process


@dataclass
class Servers:
    """A running storage server and a running proxy.

    Attributes:
        url: Address of the server.
        proxy_url: Address of the proxy.
        emulator: The emulator; None if the server is another one, which is never killed.
    """

    url: str
    proxy_url: str
    emulator: EmulatorProcess | None

    def set_rate(self, rate: float) -> None:
        """Change the share of requests that get a fault."""
        requests.post(f"{self.proxy_url}/_faults", json={"rate": rate}, timeout=_TIMEOUT).raise_for_status()

    def counts(self) -> dict[str, Any]:
        """Return the number of requests, and of faults by kind."""
        found: dict[str, Any] = requests.get(f"{self.proxy_url}/_faults", timeout=_TIMEOUT).json()
        return found


@contextmanager
def serve(directory: Path, seed: int, rate: float, endpoint: str | None = None) -> Iterator[Servers]:
    """Start a proxy before an emulator, or before a server that runs already.

    Args:
        directory: State of the emulator.
        seed: Seed of the schedule of faults.
        rate: Share of requests that get a fault, 0–1.
        endpoint: Address of a running server; None: start the emulator.
    """
    proxy_port = free_port()
    emulator = None if endpoint else EmulatorProcess(directory)
    url = emulator.url if emulator else str(endpoint).rstrip("/")
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.proxy", "--port", str(proxy_port)]
    command += ["--upstream", url, "--seed", str(seed), "--rate", str(rate)]
    command += [] if emulator else ["--split-batches"]
    proxy = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    servers = Servers(url, f"http://127.0.0.1:{proxy_port}", emulator)
    try:
        _await(f"{servers.proxy_url}/_faults")
        yield servers
    finally:
        if emulator:
            emulator.stop()
        proxy.kill()
        proxy.wait()


def _await(url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            if requests.get(url, timeout=_TIMEOUT).ok:
                return
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)
