import time

import pytest

from cloudseg_ops.engine.io_growth import Growth, _load_between


def test_a_load_is_what_lies_between_two_readings() -> None:
    load = _load_between((10.0, 5.0, 1.0, 100), (12.0, 7.4, 2.0, 300), lanes=2, left=1000)
    assert load
    # Of four lane seconds, one was waited; of 2.4 CPU seconds, the lanes had three quarters of two CPUs.
    assert load.starved == pytest.approx(0.25)
    assert load.busy == pytest.approx(1.2 - 1.5)
    assert load.seconds_left == pytest.approx(10)


def test_before_the_first_image_there_is_nothing_to_tell() -> None:
    assert _load_between((0, 0, 0, 0), (2, 1, 0, 0), lanes=2, left=10) is None
    assert _load_between((0, 0, 0, 0), (2, 1, 0, 5), lanes=0, left=10) is None


class Team:
    helpers = 0

    def grow(self) -> None:
        self.helpers += 1


class Endless:
    """The account of a chunk that takes for ever."""

    total = 10**12
    accounted = 0


class Idle:
    """Lanes that wait all the time."""

    count = 1

    @property
    def idle_seconds(self) -> float:
        return time.monotonic()


def test_a_team_grows_while_lanes_starve_and_python_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudseg_ops.engine.io_growth._SECONDS", 0.05)
    team, ledger = Team(), Endless()
    with Growth(team, Idle(), ledger, cpus=3):  # type: ignore[arg-type]
        end = time.monotonic() + 20
        while team.helpers < 2 and time.monotonic() < end:
            ledger.accounted += 1
    assert team.helpers == 2
