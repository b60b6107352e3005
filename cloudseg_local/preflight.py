"""Checks what a laptop must have before anything is started, and reports what is missing in one sentence."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import psutil

from cloudseg_ops.contracts.errors import LocalError

# Airflow's database and logs, the registry and a few hundred photographs with masks take less.
_FREE_BYTES = 500 * 2**20


def require_program(name: str) -> None:
    """Check that a program is on the PATH.

    Raises:
        LocalError: It is not there.
    """
    if shutil.which(name) is None:
        raise LocalError(f"`{name}` is not on the PATH; install it with the system's package manager")


def require_free_disk(folder: Path, needed: int = _FREE_BYTES) -> None:
    """Check that a folder's disk has enough space.

    Raises:
        LocalError: Fewer than `needed` bytes are free.
    """
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise LocalError(
            f"{folder} has {free / 2**20:,.0f} MiB free, and the demo needs {needed / 2**20:,.0f}; make room there, or "
            "remove an older state with `make clean`"
        )


def require_free_port(port: int, variable: str, what: str, host: str = "127.0.0.1") -> None:
    """Check that a port is free on an address of this machine.

    Raises:
        LocalError: It is not a port, or something listens there; the message names it as far as this user may see.
    """
    if not 0 < port < 65536:
        raise LocalError(f"{variable}={port}, meant for {what}, is not a port; choose one from 1024 to 65535")
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT after the last demo is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise LocalError(
                f"port {port}, meant for {what}, is taken{_by_whom(port)} ({error.strerror}); stop that, or choose "
                f"another: `make demo {variable}=…`"
            ) from None


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass  # Some systems tell only root; the message does without.
    return ""
