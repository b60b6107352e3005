import pytest

from cloudseg_ops.contracts.errors import ManifestError
from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.gallery.overview import read_overview
from cloudseg_ops.report import write_report
from cloudseg_ops.runs.report_file import read_head
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from tests.gallery.runs import made_up, write_plan, write_results
from tests.storage.conftest import Counter
from tests.support.report_runs import facts_of, planned, quarantined


def test_run_without_a_plan_is_empty(store: Store, layout: RunLayout) -> None:
    overview = read_overview(store, layout)
    assert (list(overview.chunks), overview.objects, overview.outcomes) == ([], 0, {})


def test_run_in_progress(store: Store, layout: RunLayout, emulator: Emulator) -> None:
    write_plan(store, layout, 2, 3, 4)
    write_results(store, layout, 0, [made_up("a.jpg"), made_up("b.jpg")])
    write_results(store, layout, 1, [made_up("c.jpg")], complete=False)
    calls = Counter(emulator)
    overview = read_overview(store, layout)
    assert calls["objects.list"] == 1
    assert overview.objects == 9
    assert [chunk.complete for chunk in overview.chunks] == [True, False, False]
    assert [chunk.index for chunk in overview.waiting] == [2]
    assert [chunk.index for chunk in overview.unfinished] == [1]
    assert overview.outcomes == {}


def test_counts_come_from_the_report(store: Store, layout: RunLayout) -> None:
    write_plan(store, layout, 3)
    write_results(store, layout, 0, [made_up("a.jpg"), made_up("b.jpg"), quarantined("c.jpg", "no image")])
    write_report(store, layout, facts_of(layout, planned(layout, 3)))
    outcomes = read_overview(store, layout).outcomes
    assert (outcomes[Outcome.DONE], outcomes[Outcome.QUARANTINED], outcomes[Outcome.CHANGED]) == (2, 1, 0)


def test_only_the_head_of_a_report_is_read(store: Store, layout: RunLayout) -> None:
    assert read_head(store, layout) is None
    write_plan(store, layout, 2000)
    write_results(store, layout, 0, [made_up(f'{number}",\n"chunks": [.jpg') for number in range(2000)])
    report = write_report(store, layout, facts_of(layout, planned(layout, 2000)))
    info = store.stat(report.json_uri)
    assert info
    assert info.size > 256 * 1024
    assert read_head(store, layout) == report.to_json()


@pytest.mark.parametrize("text", [b"{}", b"[]", b"", b'{"a": \n,\n"chunks": []'])
def test_invalid_report_is_ignored(store: Store, layout: RunLayout, text: bytes) -> None:
    store.write(layout.report_folder / "report.json", text)
    assert read_head(store, layout) is None


@pytest.mark.parametrize("text", [b"{", b"5", b'[{"index": 0}]', b'[{"index": "x", "objects": 1}]', b"[7]"])
def test_invalid_plan_is_reported(store: Store, layout: RunLayout, text: bytes) -> None:
    store.write(layout.plan, text)
    with pytest.raises(ManifestError, match="clear `plan_chunks`"):
        read_overview(store, layout)
