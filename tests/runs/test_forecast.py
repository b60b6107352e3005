import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.runs.chunk_plan import Chunk
from cloudseg_ops.runs.forecast import MeasuredChunk, MeasuredRun, Rate, Spread, choose_rate, forecast
from tests.support.samples import DIGEST, OTHER_DIGEST


def _chunks(*objects: int) -> list[Chunk]:
    return [Chunk(index, f"gs://s/{index}", count, 1000 * count) for index, count in enumerate(objects)]


def _run(run_id: str, digest: str | None, *chunks: tuple[int, float, float | None]) -> MeasuredRun:
    return MeasuredRun(run_id, digest, [MeasuredChunk(*chunk) for chunk in chunks])


def test_rate_of_runs_with_the_same_model_is_preferred() -> None:
    runs = [
        _run("other", OTHER_DIGEST, (1000, 10.0, 5.0)),
        _run("newest", DIGEST, (400, 40.0, 20.0), (100, 20.0, 40.0)),
        _run("older", DIGEST, (300, 20.0, None)),
    ]
    # All images divided by all seconds, so that a short chunk has little weight.
    assert choose_rate(runs, model_digest=DIGEST, setting=10) == Rate(10.0, 30.0, ("newest", "older"), same_model=True)


@pytest.mark.parametrize("digest", ["0" * 32, None])
def test_rate_of_another_model_is_preferred_to_the_setting(digest: str | None) -> None:
    runs = [_run("b", DIGEST, (100, 10.0, None)), _run("a", OTHER_DIGEST, (300, 10.0, None))]
    assert choose_rate(runs, model_digest=digest, setting=7) == Rate(20.0, None, ("b", "a"), same_model=False)


def test_run_without_a_model_does_not_count_as_the_same_model() -> None:
    assert choose_rate([_run("a", None, (100, 10.0, None))], model_digest=None, setting=7).same_model is False


def test_setting_is_used_without_measured_runs() -> None:
    assert choose_rate([], model_digest=DIGEST, setting=7) == Rate(7)
    assert choose_rate([_run("empty", DIGEST)], model_digest=DIGEST, setting=7) == Rate(7)


def test_forecast_has_time_and_cost() -> None:
    found = forecast(
        _chunks(100, 100, 50), Rate(10.0, 5.0, ("r",)), already_processed=None, at_once=2, gpu_hour_price=0.72
    )
    assert found.images == 250
    assert found.chunk_seconds == [15.0, 15.0, 10.0]
    assert found.wall_seconds == 25.0
    assert (found.shortest_seconds, found.longest_seconds) == (15.0, 40.0)
    # Engines work 25 s; the start of pods takes time, but no GPU time.
    assert found.gpu_hours == pytest.approx(25 / 3600)
    assert found.cost == pytest.approx(0.72 * 25 / 3600)


def test_unknown_values_stay_unknown() -> None:
    found = forecast(_chunks(100), Rate(10.0), already_processed=None, at_once=None, gpu_hour_price=None)
    assert (found.wall_seconds, found.cost) == (None, None)
    assert (found.shortest_seconds, found.longest_seconds) == (10.0, 10.0)


def test_already_processed_inputs_cost_only_chunk_starts() -> None:
    half = forecast(_chunks(100, 100), Rate(10.0, 2.0), already_processed=100, at_once=1, gpu_hour_price=1)
    assert (half.images, half.chunk_seconds, half.wall_seconds) == (100, [7.0, 7.0], 14.0)
    whole = forecast(_chunks(100, 100), Rate(10.0, 2.0), already_processed=200, at_once=1, gpu_hour_price=1)
    assert (whole.images, whole.gpu_hours, whole.cost, whole.wall_seconds) == (0, 0.0, 0.0, 4.0)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=60), st.integers(1, 70), st.floats(0, 60))
def test_wall_time_is_between_parallel_and_sequential(objects: list[int], at_once: int, start: float) -> None:
    found = forecast(_chunks(*objects), Rate(10.0, start), already_processed=None, at_once=at_once, gpu_hour_price=None)
    assert found.wall_seconds is not None
    assert found.shortest_seconds - 1e-6 <= found.wall_seconds <= found.longest_seconds + 1e-6


def test_spread_of_sizes() -> None:
    assert Spread.of([5]) == Spread(5, 5, 5)
    assert Spread.of([9, 1, 4]) == Spread(1, 4, 9)
