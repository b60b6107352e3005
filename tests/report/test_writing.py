import json

from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report import write_report
from cloudseg_ops.storage import Store
from tests.support.report_runs import MODEL, done, facts_of, page, planned, quarantined, write_chunk, written


def test_report_json_has_the_outcome_of_the_run(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("ä.jpg", 0.2), quarantined("b.jpg", "no image")], started=100, finished=104)
    write_chunk(store, layout, 1, [done("c.jpg", 0.4)], started=101, finished=102, complete=False)
    places = {"input": 1, "masked": 2, "quarantined": 1, "superseded": 0, "lost": 0}
    report = write_report(store, layout, facts_of(layout, planned(layout, 2, 2), places=places))
    head = written(store, layout)
    chunks, images, bad = head.pop("chunks"), head.pop("images"), head.pop("quarantined")
    assert head == report.to_json()
    counts = {"done": 2, "skipped": 0, "quarantined": 1, "vanished": 0, "changed": 0, "unreadable": 0}
    assert report.counts == head["outcomes"] == counts
    assert report.unfinished_chunks == (1,)
    assert report.lost == 0
    assert head["places"] == places
    assert head["model"]["commit"] == MODEL.commit
    assert head["seconds"] == {"sense": 60, "pull": 4, "plan": 1, "segment": 4, "clean": 6}
    assert head["images_per_second"] == 0.5
    assert head["cloud_fraction"]["mean"] == head["cloud_fraction"]["median"] == 0.3
    assert head["cloud_fraction"]["histogram"]["counts"][4] == 1
    assert [chunk["state"] for chunk in chunks] == ["complete", "partial"]
    assert bad == [{"name": "b.jpg", "generation": 7, "reason": "no image"}]
    assert images[0] == {
        "name": "ä.jpg",
        "generation": 7,
        "outcome": "done",
        "mask": "ä.jpg.mask.png",
        "cloud_fraction": 0.2,
        "reason": None,
    }
    assert [image["name"] for image in images] == ["ä.jpg", "b.jpg", "c.jpg"]


def test_images_are_the_last_key_with_one_line_per_image(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done(f"{number}.jpg") for number in range(30)])
    report = write_report(store, layout, facts_of(layout, planned(layout, 30)))
    assert list(written(store, layout))[-1] == "images"
    lines = list(store.read_lines(report.json_uri))
    assert len([line for line in lines if line.startswith('{"name"')]) == 30


def test_a_repeated_task_replaces_both_files(store: Store, layout: RunLayout) -> None:
    facts = facts_of(layout, planned(layout, 1))
    first = write_report(store, layout, facts)
    assert first.unfinished_chunks == (0,)
    write_chunk(store, layout, 0, [done("a.jpg")])
    second = write_report(store, layout, facts)
    assert second.unfinished_chunks == ()
    assert second.json_uri == first.json_uri
    assert len(written(store, layout)["images"]) == 1
    assert "Every input accounted for" in store.read(second.html_uri).decode()


def test_empty_run_has_a_report(store: Store, layout: RunLayout) -> None:
    report = write_report(store, layout, facts_of(layout, [], model=None, seconds={}))
    fields = written(store, layout)
    assert fields["images"] == fields["chunks"] == fields["quarantined"] == []
    assert fields["model"] is None
    assert fields["images_per_second"] is None
    assert report.verdict.headline == "Nothing to do"
    assert "Nothing to do" in store.read(report.html_uri).decode()


def test_report_head_size_is_bounded(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [quarantined(f"{number}.jpg", "x" * 900) for number in range(500)])
    report = write_report(store, layout, facts_of(layout, planned(layout, 500)))
    assert len(json.dumps(report.to_json())) < 4000
    assert len(written(store, layout)["quarantined"]) == 500


def test_lost_inputs_are_named(store: Store, layout: RunLayout) -> None:
    vanished = Result(done("a.jpg").source, Outcome.VANISHED, reason="gone")
    write_chunk(store, layout, 0, [vanished])
    places = {"input": 0, "masked": 0, "quarantined": 0, "superseded": 0, "lost": 1}
    report = write_report(store, layout, facts_of(layout, planned(layout, 1), places=places, lost=["a.jpg#7"]))
    assert report.lost == 1
    assert written(store, layout)["lost"] == {"count": 1, "first": ["a.jpg#7"]}
    assert "a.jpg#7" in store.read(report.html_uri).decode()


def test_unreadable_inputs_are_counted_and_listed_with_their_reasons(store: Store, layout: RunLayout) -> None:
    refused = [Result(done(f"{n}.jpg").source, Outcome.UNREADABLE, reason=f"refused {n % 12}") for n in range(24)]
    write_chunk(store, layout, 0, [done("good.jpg"), *refused])
    report = write_report(store, layout, facts_of(layout, planned(layout, 25), places={"masked": 1, "input": 24}))
    assert report.verdict.headline == "24 inputs could not be read"
    assert report.unfinished_chunks == ()
    unreadable = written(store, layout)["unreadable"]
    assert len(unreadable) == 11
    assert sum(unreadable.values()) == 24
    assert unreadable["refused 0"] == 2
    html = page(store, layout)
    assert "Could not be read" in html
    assert "refused 11" in html
