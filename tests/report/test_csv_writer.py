import csv
import io
from typing import Any

from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report import write_report
from cloudseg_ops.storage import Store
from tests.support.report_runs import MODEL, done, facts_of, planned, quarantined, write_chunk, written


def _rows(store: Store, layout: RunLayout, **facts: Any) -> list[dict[str, str]]:
    chunks = planned(layout, 3, 1)
    write_report(store, layout, facts_of(layout, chunks, **facts), formats=["csv"])
    text = store.read(layout.report_folder / "results.csv").decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_a_row_per_image(store: Store, layout: RunLayout) -> None:
    gone = Result(done("gone.jpg").source, Outcome.VANISHED, reason="gone")
    write_chunk(store, layout, 0, [done("sky/ä.jpg", 0.25), quarantined("b.jpg", "no image"), gone])
    write_chunk(store, layout, 1, [done("c.jpg", 1 / 3)])
    first, second, third, fourth = _rows(store, layout)
    assert first == {
        "name": "sky/ä.jpg",
        "generation": "7",
        "outcome": "done",
        "cloud_fraction": "0.25",
        "mask_uri": f"gs://{layout.output.bucket}/sky/ä.jpg.mask.png",
        "model_revision": MODEL.revision,
        "model_commit": MODEL.commit,
    }
    unknown = {"cloud_fraction": "", "mask_uri": ""}
    assert second.items() >= ({"name": "b.jpg", "outcome": "quarantined"} | unknown).items()
    assert third.items() >= ({"name": "gone.jpg", "outcome": "vanished"} | unknown).items()
    assert float(fourth["cloud_fraction"]) == 1 / 3


def test_names_with_commas_quotes_and_line_ends_are_one_field(store: Store, layout: RunLayout) -> None:
    names = ['a,"b".jpg', "c\nd.jpg", "e\rf.jpg", "=e;.jpg"]
    write_chunk(store, layout, 0, [done(name) for name in names])
    assert [row["name"] for row in _rows(store, layout)] == names


def test_a_run_without_a_model_and_without_images_has_a_header(store: Store, layout: RunLayout) -> None:
    assert _rows(store, layout, model=None) == []
    text = store.read(layout.report_folder / "results.csv").decode()
    assert text == "name,generation,outcome,cloud_fraction,mask_uri,model_revision,model_commit\n"


def test_repeated_task_replaces_the_file(store: Store, layout: RunLayout) -> None:
    assert _rows(store, layout) == []
    write_chunk(store, layout, 0, [done("a.jpg")])
    assert [row["name"] for row in _rows(store, layout)] == ["a.jpg"]


def test_csv_and_report_have_the_same_images(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg"), done("a.jpg"), "junk"])
    rows = _rows(store, layout)
    assert [row["name"] for row in rows] == [image["name"] for image in written(store, layout)["images"]] == ["a.jpg"]


def test_csv_is_not_written_by_default(store: Store, layout: RunLayout) -> None:
    write_report(store, layout, facts_of(layout, []))
    names = {info.name.rpartition("/")[2] for info in store.list_objects(layout.report_folder)}
    assert names == {"report.json", "report.html"}
