from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.engine.scheduling.ledger import Ledger

SOURCES = [InputObject(f"{index:06}.jpg", 1, 1, "") for index in range(100)]


def test_results_come_out_in_the_chunks_order() -> None:
    with Ledger(100) as ledger:
        for index in reversed(range(0, 100, 3)):
            ledger.record(index, SOURCES[index], Result(SOURCES[index], Outcome.DONE))
        ledger.record(1, SOURCES[1], ValueError("no"))
        results = [Result.from_line(line) for line in ledger.lines()]
        assert [result.source for result in results] == SOURCES[::3]
        assert (ledger.accounted, ledger.failed, ledger.complete) == (34, 1, False)
        ledger.record(1, SOURCES[1], Result(SOURCES[1], Outcome.QUARANTINED, reason="ünreadable"))
        assert [Result.from_line(line).reason for line in ledger.lines()][1] == "ünreadable"
        assert ledger.counts() == {Outcome.DONE: 34, Outcome.QUARANTINED: 1}


def test_an_empty_one_is_complete() -> None:
    with Ledger(0) as ledger:
        assert ledger.complete
        assert list(ledger.lines()) == []


def test_failures_in_a_row_are_hopeless_and_few_are_kept() -> None:
    with Ledger(100) as ledger:
        for index in range(31):
            ledger.record(index, SOURCES[index], ValueError(str(index)))
        before = ledger.hopeless
        ledger.record(50, SOURCES[50], Result(SOURCES[50], Outcome.DONE))
        ledger.record(51, SOURCES[51], ValueError("again"))
        between = ledger.hopeless
        for index in range(60, 91):
            ledger.record(index, SOURCES[index], ValueError(str(index)))
        assert (before, between, ledger.hopeless) == (False, False, True)
        assert [str(error) for _, error in ledger.first_failures] == ["0", "1", "2", "3", "4"]
