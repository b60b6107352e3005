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

# Each process of the setup inherits this variable, so that what a killed command left behind is found again.
MARKER = "CLOUDSEG_LOCAL_STATE"
_MOST_RESTARTS = 3
_GRACE_SECONDS = 8.0


@dataclass
class Service:
    """A process that runs until it is stopped.

    Attributes:
        name: As it is shown.
        arguments: Its command line.
        environment: Its environment.
        log: Where its output is appended.
        process: While it runs.
        restarts: How often it died and was started again.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    restarts: int = 0

    def start(self) -> None:
        """Start it in its own process group, so that Ctrl-C reaches only the command that supervises it."""
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
        """Its exit code if it ended without being stopped."""
        return self.process.poll() if self.process else None


class Supervisor:
    """Keeps services running: one that dies is started again, a few times."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """Tell the person at the terminal of restarts through `tell`."""
        self._services: list[Service] = []
        self._tell = tell

    @property
    def process_ids(self) -> list[int]:
        """Of the services that were started."""
        return [service.process.pid for service in self._services if service.process]

    def start(self, service: Service) -> None:
        """Start a service and watch it from here on."""
        service.start()
        self._services.append(service)

    def check(self) -> None:
        """Start again what died.

        Raises:
            LocalError: A service died too often; the message names its log.
        """
        for service in self._services:
            code = service.died()
            if code is None:
                continue
            if service.restarts == _MOST_RESTARTS:
                raise LocalError(
                    f"{service.name} ended {_MOST_RESTARTS + 1} times, the last time with exit code {code}; the end of "
                    f"{service.log}:\n{tail(service.log)}\nNothing is lost: run the command again once that is fixed"
                )
            service.restarts += 1
            self._tell(f"{service.name} ended (exit code {code}); starting it again")
            service.start()

    def restart(self, name: str, why: str) -> None:
        """End a service and all that it started, and start it again."""
        for service in self._services:
            if service.name == name and service.process:
                self._tell(f"{why}; starting the {name} again")
                end_processes([service.process.pid])
                service.start()

    def stop(self) -> None:
        """End every service, the last one first, and all that they started."""
        end_processes(self.process_ids[::-1])
        self._services.clear()

    def leave(self) -> None:
        """Forget the services without ending them."""
        self._services.clear()


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log."""
    if not log.exists():
        return "(no log)"
    return "\n".join("  " + line for line in log.read_text(errors="replace").splitlines()[-lines:])


def leftovers(state: Path) -> list[int]:
    """Ids of processes that an earlier command of this state folder left behind."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARKER) == str(state):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def end_processes(process_ids: Sequence[int], grace: float = _GRACE_SECONDS) -> None:
    """End processes and their children: first asked, then, after `grace` seconds, killed."""
    doomed: dict[int, psutil.Process] = {}
    for process_id in process_ids:
        try:
            process = psutil.Process(process_id)
            doomed.update({child.pid: child for child in process.children(recursive=True)})
            doomed[process_id] = process
        except psutil.NoSuchProcess:
            continue
    for process_id in process_ids:
        if process_id in doomed:
            _signal(doomed[process_id], signal.SIGTERM)
    _, alive = psutil.wait_procs(doomed.values(), timeout=grace)
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
    """Wait for something that services are to bring about.

    Raises:
        LocalError: It did not come about in time.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        check()
        if time.monotonic() > deadline:
            raise LocalError(
                f"{what} was not ready after {seconds:.0f} s; its log is in the folder `logs` of the state"
            )
        time.sleep(pause)
