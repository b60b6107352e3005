"""Tens of thousands of objects: constant memory, and few requests.

Each phase is a separate process, so that no other test is in its memory. A million objects: benchmarks/scale.py.
"""

from typing import Any

import pytest

from benchmarks.scale import run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("scale")]  # one worker prepares the buckets for all

SMALL, LARGE = 4_000, 20_000
PHASES = ["sense", "plan", "delete"]


@pytest.fixture(scope="module")
def runs() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    few, many = run(PHASES, SMALL, 1), run([*PHASES, "audit"], LARGE, 1)
    return {name: (small, large) for name, small, large in zip(PHASES, few, many, strict=False)} | {
        "audit": (many[-1], many[-1])
    }


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_memory_does_not_grow_with_the_number_of_objects(runs: Any, phase: str) -> None:
    small, large = (row["peak_rss_mb"] for row in runs[phase])
    # The description of an object and its mask takes about 2.5 kB: 40 MB if all were held.
    assert large - small < 12
    assert large < 200


def test_sensing_takes_a_request_per_thousand_objects(runs: Any) -> None:
    (_, row) = runs["sense"]
    assert row["told"] == f"{LARGE} new"
    assert row["calls"]["objects.list"] == LARGE / 1000
    # The rest is the snapshot's upload, one MiB per request.
    assert row["requests_per_object"] < 0.002


def test_planning_takes_a_request_per_chunk_and_per_mebibyte(runs: Any) -> None:
    (_, row) = runs["plan"]
    chunks = LARGE // 500
    assert row["told"] == f"{chunks} chunks"
    assert row["calls"]["objects.insert"] == chunks + 1
    # Counting the snapshot beforehand reads it a second time.
    assert row["calls"]["objects.download"] <= 2 * (LARGE * 150 / 2**20 + 3)


def test_deleting_takes_thirteen_requests_per_thousand_objects(runs: Any) -> None:
    (_, row) = runs["delete"]
    assert row["told"] == f"{LARGE} deleted"
    assert row["calls"]["objects.delete"] == LARGE
    assert row["calls"]["batch"] == LARGE / 100
    assert row["calls"]["objects.list"] == 3 * LARGE / 1000
    assert row["requests_per_object"] < 0.014


def test_audit_finds_every_object_masked(runs: Any) -> None:
    (_, row) = runs["audit"]
    assert row["told"] == f"{LARGE} masked; conservation holds"
