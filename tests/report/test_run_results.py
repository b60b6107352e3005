from collections.abc import Iterator

import pytest

from cloudseg_ops.config.results_formats import RESULTS_FORMATS, ResultsFormat
from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report import RunResults, write_report
from cloudseg_ops.report.run_results import ResultSpool
from cloudseg_ops.storage import Store
from tests.support.report_runs import done, facts_of, planned, quarantined, write_chunk

RESULTS = [
    done("ä\n,.jpg", 1 / 3),
    quarantined("b.jpg", 'no "image"'),
    Result(done("c.jpg").source, Outcome.CHANGED, reason="newer", seconds=0.123456789),
]


def test_spool_returns_results_unchanged() -> None:
    with ResultSpool() as spool:
        assert list(spool) == []
        for result in RESULTS:
            spool.append(result)
        assert list(spool) == RESULTS
        assert list(spool) == RESULTS


def test_spool_supports_several_readers_at_once() -> None:
    many = [done(f"station/{number:06d}.jpg", number / 9000) for number in range(9000)]  # more than one block
    with ResultSpool() as spool:
        for result in many:
            spool.append(result)
        pairs = list(zip(spool, spool, strict=True))
    assert pairs == [(result, result) for result in many]


def failing_lines(run: RunResults) -> Iterator[str]:
    yield from (result.source.name for result in run.images)
    raise RuntimeError("half done")


def test_failing_writer_leaves_no_file_and_no_report(
    store: Store, layout: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = ResultsFormat("names.txt", "text/plain", f"{__name__}:failing_lines")
    monkeypatch.setitem(RESULTS_FORMATS, "names", failing)
    write_chunk(store, layout, 0, RESULTS)
    with pytest.raises(RuntimeError, match="half done"):
        write_report(store, layout, facts_of(layout, planned(layout, 3)), formats=["names"])
    assert list(store.list_objects(layout.report_folder)) == []


def test_unknown_format_is_rejected_before_reading(store: Store, layout: RunLayout) -> None:
    with pytest.raises(SettingsError, match="'parquet': Input should be one of csv, json, or your own"):
        write_report(store, layout, facts_of(layout, []), formats=["parquet"])


def test_files_have_their_media_types(store: Store, layout: RunLayout) -> None:
    write_report(store, layout, facts_of(layout, []), formats=["csv"])
    client = store._client
    types = {
        name: client.bucket(layout.output.bucket).get_blob((layout.report_folder / name).name).content_type
        for name in ("report.json", "results.csv", "report.html")
    }
    assert types == {
        "report.json": "application/json",
        "results.csv": "text/csv; charset=utf-8",
        "report.html": "text/html; charset=utf-8",
    }
