"""Starts, watches and stops the services of the local setup."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cloudseg_ops.contracts.errors import LocalError

# Every process of the setup inherits this variable; `leftovers` finds processes of a killed command by it.
MARKER = "CLOUDSEG_LOCAL_STATE"
_MAX_RESTARTS = 3
_GRACE_SECONDS = 8.0


@dataclass
class Service:
    """A process that runs until it is stopped.

    Attributes:
        name: Display name.
        arguments: Command line.
        environment: Environment variables.
        log: File to which the output is appended.
        process: The process; None before the first start.
        restarts: How often it has been restarted after it died.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    restarts: int = 0

    def start(self) -> None:
        """Start the process in a new session, so that Ctrl-C reaches only the supervising command."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.arguments,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def died(self) -> int | None:
        """Return the exit code if the process has ended, else None."""
        return self.process.poll() if self.process else None


class Supervisor:
    """Keeps services running: restarts one that dies, up to three times."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """Report restarts to the terminal through `report`."""
        self._services: list[Service] = []
        self._report = report

    @property
    def process_ids(self) -> list[int]:
        """Process ids of the services that were started."""
        return [service.process.pid for service in self._services if service.process]

    def start(self, service: Service) -> None:
        """Start a service and supervise it."""
        service.start()
        self._services.append(service)

    def check(self) -> None:
        """Restart services that have died.

        Raises:
            LocalError: A service died too often; the message contains the end of its log.
        """
        for service in self._services:
            code = service.died()
            if code is None:
                continue
            if service.restarts == _MAX_RESTARTS:
                raise LocalError(
                    f"{service.name} ended {_MAX_RESTARTS + 1} times, the last time with exit code {code}; the end of "
                    f"{service.log}:\n{tail(service.log)}\nNothing is lost: fix the cause and run the command again"
                )
            service.restarts += 1
            self._report(f"{service.name} ended (exit code {code}); restarting it")
            service.start()

    def restart(self, name: str, why: str) -> None:
        """Restart a service, ending its child processes as well."""
        for service in self._services:
            if service.name == name and service.process:
                self._report(f"{why}; restarting the {name}")
                end_processes([service.process.pid])
                service.start()

    def stop(self) -> None:
        """End all services in reverse order of their start, with their child processes."""
        end_processes(self.process_ids[::-1])
        self._services.clear()

    def detach(self) -> None:
        """Forget the services without ending them."""
        self._services.clear()


def tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a log, indented."""
    if not log.exists():
        return "(no log)"
    return "\n".join("  " + line for line in log.read_text(errors="replace").splitlines()[-lines:])


def leftovers(state: Path) -> list[int]:
    """Return the ids of processes that an earlier command with this state folder left running."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARKER) == str(state):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def end_processes(process_ids: Sequence[int], grace: float = _GRACE_SECONDS) -> None:
    """End processes and their children: SIGTERM first, SIGKILL after `grace` seconds."""
    targets: dict[int, psutil.Process] = {}
    for process_id in process_ids:
        try:
            process = psutil.Process(process_id)
            targets.update({child.pid: child for child in process.children(recursive=True)})
            targets[process_id] = process
        except psutil.NoSuchProcess:
            continue
    for process_id in process_ids:
        if process_id in targets:
            _signal(targets[process_id], signal.SIGTERM)
    _, alive = psutil.wait_procs(targets.values(), timeout=grace)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def wait_until(
    ready: Callable[[], bool], what: str, *, seconds: float, check: Callable[[], None], pause: float = 0.25
) -> None:
    """Wait until a condition holds.

    Args:
        ready: The condition.
        what: What is waited for, for the message.
        seconds: Time limit.
        check: Called between two polls; raises if waiting has become pointless.
        pause: Seconds between two polls.

    Raises:
        LocalError: The condition did not hold within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        check()
        if time.monotonic() > deadline:
            raise LocalError(f"{what} was not ready after {seconds:.0f} s; its log is in `logs` below the state folder")
        time.sleep(pause)
