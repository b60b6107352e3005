import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.contracts.errors import ManifestError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import ChunkSummary, Outcome, Result
from tests.support.samples import version

KEYS = {"name", "generation", "size", "crc32c", "outcome", "mask", "cloud_fraction", "reason", "seconds"}


@given(
    st.sampled_from(Outcome),
    st.none() | st.text(),
    st.none() | st.floats(0, 1),
    st.none() | st.text(),
    st.integers(0, 10**8).map(lambda ten_thousandths: ten_thousandths / 10_000),
)
def test_line_round_trip(
    outcome: Outcome, mask: str | None, fraction: float | None, reason: str | None, seconds: float
) -> None:
    result = Result(version("ä.jpg"), outcome, mask, fraction, reason, seconds)
    line = result.to_line()
    assert "\n" not in line
    assert json.loads(line).keys() == KEYS
    assert Result.from_line(line) == result


def test_range_used_is_written_only_if_it_is_known() -> None:
    result = Result(version(), Outcome.DONE, range_used=0.0625)
    assert json.loads(result.to_line()).keys() == KEYS | {"range_used"}
    assert Result.from_line(result.to_line()) == result
    assert json.loads(replace(result, range_used=None).to_line()).keys() == KEYS


def test_result_line_is_also_an_input_line() -> None:
    assert InputObject.from_line(Result(version(), Outcome.DONE).to_line()) == version()


def test_optional_keys_may_be_missing() -> None:
    line = json.dumps({**json.loads(version().to_line()), "outcome": "vanished"})
    assert Result.from_line(line) == Result(version(), Outcome.VANISHED)


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "lost"},
        {"outcome": None},
        {"outcome": []},
        {"seconds": "long"},
        {"seconds": {"x": 1}},
        {"seconds": 10**400},
        {"range_used": "dark"},
    ],
)
def test_damaged_line_is_a_manifest_error_with_the_task_to_clear(change: dict[str, object]) -> None:
    line = json.dumps({**json.loads(Result(version(), Outcome.DONE).to_line()), **change})
    with pytest.raises(ManifestError, match="clear the `segment` task"):
        Result.from_line(line)


@pytest.mark.parametrize("line", ["", "{", "[]", version().to_line(), "[" * 100_000])
def test_line_without_an_outcome_is_rejected(line: str) -> None:
    with pytest.raises(ManifestError):
        Result.from_line(line)


@pytest.mark.parametrize("complete", [True, False])
def test_chunk_summary_round_trip(complete: bool) -> None:
    summary = ChunkSummary(1_788_000_000.125, 1_788_000_100.5, 500, complete)
    metadata = summary.to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert ChunkSummary.from_metadata(metadata) == summary


def test_metadata_of_other_objects_is_ignored() -> None:
    whole = ChunkSummary(1, 2, 3, complete=True).to_metadata()
    assert ChunkSummary.from_metadata({}) is None
    for key in whole:
        assert ChunkSummary.from_metadata({other: value for other, value in whole.items() if other != key}) is None
    assert ChunkSummary.from_metadata(whole | {"cloudseg-images": "many"}) is None
    # Only the exact word makes a chunk complete.
    damaged = ChunkSummary.from_metadata(whole | {"cloudseg-complete": "True"})
    assert damaged is not None
    assert not damaged.complete


def test_summary_has_the_start_time_of_the_engine() -> None:
    summary = ChunkSummary(1_788_000_000.0, 1_788_000_100.0, 5, complete=True, asked=1_787_999_962.5)
    assert ChunkSummary.from_metadata(summary.to_metadata()) == summary
    assert summary.start_seconds == 37.5
    assert ChunkSummary(10.0, 20.0, 5, complete=True).start_seconds is None
    # Clocks of two machines differ.
    assert ChunkSummary(10.0, 20.0, 5, complete=True, asked=10.5).start_seconds == 0.0
