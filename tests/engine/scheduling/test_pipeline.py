"""The flow of images through the pipeline, and its bounds."""

import pytest

from cloudseg_ops.contracts.results import Outcome, Result
from tests.engine.scheduling.pipeline_steps import MIB, Steps, inputs, run


@pytest.mark.parametrize("number", [0, 1, 200])
@pytest.mark.parametrize("workers", [1, 3])
def test_every_image_comes_out_once(number: int, workers: int) -> None:
    steps = Steps()
    steps.workers = workers
    result_log, pipeline = run(steps, inputs(range(number)))
    assert result_log.complete
    assert [int(Result.from_line(line).source.name) for line in result_log.lines()] == list(range(number))
    assert sum(steps.batches) == number
    assert pipeline.in_flight == 0


@pytest.mark.parametrize("slow", ["fetch", "predict", "publish"])
def test_images_in_flight_are_bounded(slow: str) -> None:
    steps = Steps(slow=slow, seconds=0.003)
    result_log, _ = run(steps, inputs(range(120)), places=7)
    assert result_log.complete
    assert steps.most_held <= 7


def test_little_is_fetched_ahead_of_a_slow_network() -> None:
    steps = Steps(slow="predict", seconds=0.003)
    result_log, _ = run(steps, inputs(range(60)), places=50, fetching=lambda waiting: 3 - min(3, waiting))
    assert result_log.complete
    assert steps.most_held <= 3 + 4


def test_bytes_of_decoded_images_are_bounded() -> None:
    steps = Steps(slow="predict", seconds=0.003)
    steps.image_bytes = 30
    result_log, pipeline = run(steps, inputs(range(60)), bounds=(MIB, 100))
    assert result_log.complete
    # Once decoded, each shrinks to two copies of its pixels and a mask: at most 28 or 56 bytes at a time here.
    assert steps.most_held <= 4
    assert pipeline._image_budget.held == 0


def test_bytes_of_downloads_are_bounded() -> None:
    steps = Steps(slow="fetch", seconds=0.003)
    result_log, pipeline = run(steps, inputs(range(30), size=60), bounds=(100, MIB))
    assert result_log.complete
    assert pipeline._download_budget.held == 0


def test_image_above_the_memory_budget_is_processed_alone() -> None:
    steps = Steps()
    steps.image_bytes = 500
    result_log, _ = run(steps, inputs(range(20), size=500), bounds=(100, 100))
    assert result_log.complete
    assert steps.most_held == 1


def test_batches_fill_up_when_computing_is_slow() -> None:
    steps = Steps(slow="predict", seconds=0.01)
    run(steps, inputs(range(100)))
    assert max(steps.batches) == 4
    assert len(steps.batches) < 60


def test_vanished_inputs_do_not_wait_for_the_network() -> None:
    result_log, _ = run(Steps(), inputs(["gone-1", 5, "gone-2"]))
    assert result_log.counts() == {Outcome.VANISHED: 2, Outcome.DONE: 1}


def test_a_chunk_without_images_needs_no_model() -> None:
    result_log, pipeline = run(Steps(), inputs(["gone-1", "gone-2"]))
    assert result_log.complete
    assert pipeline.workers.count == 0
