import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.ending import exiting_on_signals
from benchmarks.measure import run_measured

ROOT = Path(__file__).parent.parent.parent
SPEND = """
import sys, time
end = time.process_time() + {seconds}
held = bytearray({mebibytes} * 2**20)
held[::4096] = b"x" * len(held[::4096])
while time.process_time() < end: pass
time.sleep({sleep})
"""


def spend(seconds: float, mebibytes: int = 1, sleep: float = 0.0) -> str:
    return SPEND.format(seconds=seconds, mebibytes=mebibytes, sleep=sleep)


def test_memory_and_cpu_time_include_child_processes(tmp_path: Path) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spend(0.3, 150, 1.2)!r}])"
    took = run_measured([sys.executable, "-c", child + "; print('over')"], log=tmp_path / "log")
    assert took.code == 0
    assert took.output == "over\n"
    assert took.seconds > 1.2
    assert 0.3 <= took.cpu_seconds < took.seconds + 1
    assert 150 < took.peak_mib < 250


def test_leftover_daemon_is_counted_and_killed(tmp_path: Path) -> None:
    daemon = spend(0.4, 1, 60)
    leave = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {daemon!r}]); time.sleep(2)"
    took = run_measured([sys.executable, "-c", leave], log=tmp_path / "log")
    assert took.code == 0
    assert took.seconds < 20
    assert took.cpu_seconds >= 0.4


def test_process_is_killed_after_the_time_limit(tmp_path: Path) -> None:
    took = run_measured([sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log", limit=0.5)
    assert took.code == -9
    assert took.seconds < 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_to_the_harness_kills_the_measured_process(tmp_path: Path, number: signal.Signals) -> None:
    held = tmp_path / "pid"
    # It ignores SIGTERM, like an engine that is finishing images in flight.
    sleeper = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"open({str(held)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    # A shell starts background jobs with SIGINT ignored, nohup with SIGHUP, and Python keeps them ignored.
    harness = (
        "import pathlib, signal, sys; from benchmarks import measure; measure._GRACE_SECONDS = 0.2; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); signal.signal(signal.SIGHUP, signal.SIG_DFL); "
        f"measure.run_measured([sys.executable, '-c', {sleeper!r}], log=pathlib.Path({str(tmp_path / 'log')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", harness], cwd=ROOT, stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not (held.exists() and held.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (128 + number if number != signal.SIGINT else -number)
    assert not psutil.pid_exists(int(held.read_text()))


def test_killed_harness_closes_the_measured_process_s_standard_input(tmp_path: Path) -> None:
    held, noticed = tmp_path / "pid", tmp_path / "noticed"
    reader = (
        f"import os, sys; open({str(held)!r}, 'w').write(str(os.getpid())); sys.stdin.read(); "
        f"open({str(noticed)!r}, 'w').close()"
    )
    harness = (
        "import pathlib, sys; from benchmarks.measure import run_measured; "
        f"run_measured([sys.executable, '-c', {reader!r}], log=pathlib.Path({str(tmp_path / 'log')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", harness], cwd=ROOT)
    end = time.monotonic() + 60
    while not (held.exists() and held.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    process.wait(60)
    while not noticed.exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_signals_are_left_to_a_program_that_handles_them() -> None:
    handled: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: handled.append(number))
    try:
        with exiting_on_signals(), exiting_on_signals():
            signal.raise_signal(signal.SIGTERM)
        assert handled == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(SystemExit) as raised, exiting_on_signals(), exiting_on_signals():
        signal.raise_signal(signal.SIGTERM)
    assert raised.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
