"""Checks the machine before anything is started, so that a missing program or port is a message, not a traceback."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import psutil

from cloudseg_ops.contracts.errors import LocalError

# More than Airflow's database and logs, the registry and a few hundred photographs with masks take.
_FREE_BYTES = 500 * 2**20


def require_program(name: str) -> None:
    """Check that a program is on the PATH.

    Raises:
        LocalError: The program is not on the PATH.
    """
    if shutil.which(name) is None:
        raise LocalError(f"`{name}` is not on the PATH; install it with your system's package manager")


def require_free_disk(folder: Path, needed: int = _FREE_BYTES) -> None:
    """Check the free space on a folder's disk.

    Raises:
        LocalError: Fewer than `needed` bytes are free.
    """
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise LocalError(
            f"{folder} has {free / 2**20:,.0f} MiB free, and the demo needs {needed / 2**20:,.0f}; free some space, or "
            "remove an older state with `make clean`"
        )


def require_free_port(port: int, variable: str, what: str, host: str = "127.0.0.1") -> None:
    """Check that a port is valid and free.

    Args:
        port: The port.
        variable: Name of the Makefile variable that sets the port, for the message.
        what: What is to listen there, for the message.
        host: Address of this machine to listen on.

    Raises:
        LocalError: The number is not a port, or another process listens there; the message names the process if this
            user may see it.
    """
    if not 0 < port < 65536:
        raise LocalError(f"{variable}={port}, meant for {what}, is not a port; choose one from 1024 to 65535")
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT after the last demo counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise LocalError(
                f"port {port}, meant for {what}, is taken{_port_owner(port)} ({error.strerror}); stop that process, or "
                f"choose another port: `make demo {variable}=…`"
            ) from None


def _port_owner(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass  # On some systems only root may see this.
    return ""
