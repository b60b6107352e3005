"""Real processes: services that die, children that ignore SIGTERM, and leftovers of a killed command."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cloudseg_local.processes import MARKER, Service, Supervisor, end_processes, leftovers, tail, wait_until
from cloudseg_ops.contracts.errors import LocalError

SLEEP = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")
# Both ignore SIGTERM.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "child"])
else:
    print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def started() -> Iterator[list[int]]:
    """Ids of processes that the test must end."""
    ids: list[int] = []
    yield ids
    for process_id in ids:
        try:
            os.kill(process_id, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor(lambda text: None)
    yield made
    made.stop()


def _wait(ready: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _alive(process_id: int) -> bool:
    return psutil.pid_exists(process_id) and psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE


def _service(tmp_path: Path, arguments: tuple[str, ...] = SLEEP) -> Service:
    return Service("the service", arguments, dict(os.environ), tmp_path / "logs" / "service.log")


def _kill(service: Service) -> None:
    assert service.process is not None
    os.kill(service.process.pid, signal.SIGKILL)
    _wait(lambda: service.died() is not None)


def test_killed_service_is_restarted_up_to_three_times(tmp_path: Path) -> None:
    messages: list[str] = []
    supervisor = Supervisor(messages.append)
    service = _service(tmp_path)
    supervisor.start(service)
    try:
        supervisor.check()
        assert messages == []
        for times in range(1, 4):
            before = supervisor.process_ids
            _kill(service)
            supervisor.check()
            assert supervisor.process_ids != before
            assert len(messages) == times
            assert service.died() is None
        assert messages[0] == "the service ended (exit code -9); restarting it"
        _wait(lambda: "up" in service.log.read_text())
        _kill(service)
        with pytest.raises(LocalError) as raised:
            supervisor.check()
        assert "the service ended 4 times, the last time with exit code -9" in str(raised.value)
        assert str(service.log) in str(raised.value)
        assert "  up" in str(raised.value)
    finally:
        supervisor.stop()


def test_dying_service_does_not_affect_the_others(tmp_path: Path, supervisor: Supervisor) -> None:
    mortal, other = _service(tmp_path), _service(tmp_path)
    supervisor.start(mortal)
    supervisor.start(other)
    before = supervisor.process_ids
    _kill(mortal)
    supervisor.check()
    assert supervisor.process_ids[1] == before[1]
    assert other.restarts == 0
    assert other.died() is None


def test_restart_of_one_service_keeps_the_others(tmp_path: Path, supervisor: Supervisor) -> None:
    services = [Service(name, SLEEP, dict(os.environ), tmp_path / name) for name in ("one", "other")]
    for service in services:
        supervisor.start(service)
    before = supervisor.process_ids
    supervisor.restart("one", "it hangs")
    after = supervisor.process_ids
    assert not _alive(before[0])
    assert _alive(after[0])
    assert after[1] == before[1]


def test_stop_ends_all_services(tmp_path: Path, supervisor: Supervisor) -> None:
    for _ in range(2):
        supervisor.start(_service(tmp_path))
    ids = supervisor.process_ids
    supervisor.stop()
    assert not any(_alive(process_id) for process_id in ids)
    assert supervisor.process_ids == []
    supervisor.stop()


def test_leave_keeps_all_services(tmp_path: Path, started: list[int]) -> None:
    supervisor = Supervisor(lambda text: None)
    service = _service(tmp_path)
    supervisor.start(service)
    assert service.process is not None
    started.append(service.process.pid)
    supervisor.detach()
    supervisor.stop()
    assert service.died() is None
    service.process.kill()
    service.process.wait()


def test_service_is_in_a_separate_process_group(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.start(_service(tmp_path))
    (process_id,) = supervisor.process_ids
    assert os.getpgid(process_id) != os.getpgid(0)


def test_children_that_ignore_sigterm_are_killed(tmp_path: Path, started: list[int]) -> None:
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, start_new_session=True)
    started.append(parent.pid)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    (child,) = psutil.Process(parent.pid).children()
    started.append(child.pid)
    began = time.monotonic()
    end_processes([parent.pid], grace=0.5)
    assert 0.4 < time.monotonic() - began < 5
    assert not _alive(parent.pid)
    assert not _alive(child.pid)
    parent.communicate()


def test_terminated_process_is_not_waited_for(started: list[int]) -> None:
    process = subprocess.Popen(SLEEP, stdout=subprocess.PIPE)
    started.append(process.pid)
    assert process.stdout is not None
    process.stdout.readline()
    began = time.monotonic()
    end_processes([process.pid])
    assert time.monotonic() - began < 5
    assert not _alive(process.pid)
    process.communicate()


def test_ended_process_is_ignored() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    end_processes([process.pid])
    end_processes([])


def test_leftovers_are_only_processes_of_this_state(tmp_path: Path, started: list[int]) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    processes = [
        subprocess.Popen(SLEEP, env={**os.environ, **marked}, stdout=subprocess.PIPE)
        for marked in ({MARKER: str(mine)}, {MARKER: str(other)}, {MARKER: f"{mine}2"}, {})
    ]
    started += [process.pid for process in processes]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    assert leftovers(mine) == [processes[0].pid]
    assert leftovers(tmp_path) == []
    end_processes(leftovers(mine))
    assert leftovers(mine) == []
    assert [_alive(process.pid) for process in processes] == [False, True, True, True]
    for process in processes:
        process.kill()
        process.communicate()


def test_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert tail(log) == "(no log)"
    log.write_bytes("".join(f"{number}\n" for number in range(30)).encode() + b"\xff last\n")
    assert tail(log, 2) == "  29\n  � last"


def test_wait_until() -> None:
    checks: list[int] = []
    wait_until(lambda: len(checks) == 3, "it", seconds=5, check=lambda: checks.append(1), pause=0.01)
    with pytest.raises(LocalError, match="the emulator was not ready after 0 s"):
        wait_until(lambda: False, "the emulator", seconds=0.05, check=lambda: None, pause=0.01)

    def broken() -> None:
        raise LocalError("died too often")

    with pytest.raises(LocalError, match="died too often"):
        wait_until(lambda: False, "it", seconds=5, check=broken)
