from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.engine.scheduling.result_log import ResultLog

SOURCES = [InputObject(f"{index:06}.jpg", 1, 1, "") for index in range(100)]


def test_results_are_streamed_in_chunk_order() -> None:
    with ResultLog(100) as result_log:
        for index in reversed(range(0, 100, 3)):
            result_log.record(index, SOURCES[index], Result(SOURCES[index], Outcome.DONE))
        result_log.record(1, SOURCES[1], ValueError("no"))
        results = [Result.from_line(line) for line in result_log.lines()]
        assert [result.source for result in results] == SOURCES[::3]
        assert (result_log.accounted, result_log.failed, result_log.complete) == (34, 1, False)
        result_log.record(1, SOURCES[1], Result(SOURCES[1], Outcome.QUARANTINED, reason="ünreadable"))
        assert [Result.from_line(line).reason for line in result_log.lines()][1] == "ünreadable"
        assert result_log.counts() == {Outcome.DONE: 34, Outcome.QUARANTINED: 1}


def test_an_empty_log_is_complete() -> None:
    with ResultLog(0) as result_log:
        assert result_log.complete
        assert list(result_log.lines()) == []


def test_log_gives_up_after_consecutive_failures_and_keeps_the_first() -> None:
    with ResultLog(100) as result_log:
        for index in range(31):
            result_log.record(index, SOURCES[index], ValueError(str(index)))
        before = result_log.gives_up
        result_log.record(50, SOURCES[50], Result(SOURCES[50], Outcome.DONE))
        result_log.record(51, SOURCES[51], ValueError("again"))
        between = result_log.gives_up
        for index in range(60, 91):
            result_log.record(index, SOURCES[index], ValueError(str(index)))
        assert (before, between, result_log.gives_up) == (False, False, True)
        assert [str(error) for _, error in result_log.first_failures] == ["0", "1", "2", "3", "4"]
