"""The processes of a world: the emulator, which may be killed, and the proxy before it."""

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


@dataclass
class Servers:
    """A running emulator and a running proxy.

    Attributes:
        directory: State of the emulator, which survives its death.
        port: Port of the emulator.
        proxy_url: Address of the proxy.
    """

    directory: Path
    port: int
    proxy_url: str
    _emulator: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill_emulator(self) -> None:
        """Kill the emulator with SIGKILL, and start it again on the same state."""
        self._emulator.kill()
        self._emulator.wait()
        self._emulator = _start_emulator(self.directory, self.port)

    def set_rate(self, rate: float) -> None:
        """Change the share of requests that get a fault."""
        requests.post(f"{self.proxy_url}/_faults", json={"rate": rate}, timeout=_TIMEOUT).raise_for_status()

    def counts(self) -> dict[str, Any]:
        """Return the number of requests, and of faults by kind."""
        found: dict[str, Any] = requests.get(f"{self.proxy_url}/_faults", timeout=_TIMEOUT).json()
        return found

    def stop(self) -> None:
        self._emulator.kill()
        self._emulator.wait()


@contextmanager
def serve(directory: Path, seed: int, rate: float) -> Iterator[Servers]:
    """Start an emulator with its state in a directory, and a proxy before it."""
    port, proxy_port = free_port(), free_port()
    emulator = _start_emulator(directory, port)
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.proxy", "--port", str(proxy_port)]
    command += ["--upstream", str(port), "--seed", str(seed), "--rate", str(rate)]
    proxy = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    servers = Servers(directory, port, f"http://127.0.0.1:{proxy_port}", emulator)
    try:
        _await(f"{servers.proxy_url}/_faults")
        yield servers
    finally:
        servers.stop()
        proxy.kill()
        proxy.wait()


def _start_emulator(directory: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", "-m", "gcs_emulator", "--port", str(port), "--directory", str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _await(f"http://127.0.0.1:{port}/storage/v1/b?project=p")
    return process


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
