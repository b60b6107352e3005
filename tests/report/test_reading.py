from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report.chunks import ChunkState, Reading
from cloudseg_ops.report.reading import read_results
from cloudseg_ops.storage import Store
from tests.support.report_runs import done, planned, quarantined, write_chunk


def _read(store: Store, layout: RunLayout, *objects: int) -> tuple[Reading, list[Result]]:
    taken: list[Result] = []
    return read_results(store, layout, reversed(planned(layout, *objects)), taken.append), taken


def test_results_are_in_chunk_order(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 1, [done("c.jpg", 0.9)])
    write_chunk(store, layout, 0, [done("b.jpg", 0.1), quarantined("a.jpg", "no image")])
    reading, taken = _read(store, layout, 2, 1)
    assert [result.source.name for result in taken] == ["b.jpg", "a.jpg", "c.jpg"]
    assert reading.outcomes == {Outcome.DONE: 2, Outcome.QUARANTINED: 1}
    assert reading.cover.mean == 0.5
    assert reading.unfinished == ()


def test_duration_is_from_the_first_start_to_the_last_end(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg"), done("b.jpg")], started=100, finished=105)
    write_chunk(store, layout, 1, [done("c.jpg"), done("d.jpg")], started=102, finished=108)
    reading, _ = _read(store, layout, 2, 2)
    assert reading.seconds == 8
    assert reading.images_per_second == 0.5


def test_skipped_images_do_not_count_toward_the_rate(store: Store, layout: RunLayout) -> None:
    before = Result(done("a.jpg").source, Outcome.SKIPPED, "a.jpg.mask.png", 0.5)
    write_chunk(store, layout, 0, [before, done("b.jpg")], started=0, finished=10)
    reading, _ = _read(store, layout, 2)
    assert reading.images_per_second == 0.1


def test_duplicate_images_count_once(store: Store, layout: RunLayout) -> None:
    newer = Result(done("a.jpg").source, Outcome.SKIPPED, "a.jpg.mask.png", 0.5)
    write_chunk(store, layout, 0, [done("a.jpg"), done("b.jpg"), newer])
    reading, taken = _read(store, layout, 2)
    assert [result.outcome for result in taken] == [Outcome.DONE, Outcome.DONE]
    assert reading.outcomes.total() == reading.cover.count == 2


def test_rewritten_results_file_replaces_the_first(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg")], complete=False)
    write_chunk(store, layout, 0, [done("a.jpg"), done("b.jpg")])
    reading, _ = _read(store, layout, 2)
    assert reading.outcomes.total() == 2
    assert reading.unfinished == ()


def test_chunks_without_a_complete_file_are_unfinished(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg")])
    write_chunk(store, layout, 1, [done("b.jpg")], complete=False)
    write_chunk(store, layout, 3, [done("d.jpg")])
    store.write(layout.results(4), done("e.jpg").to_line().encode())
    reading, taken = _read(store, layout, 1, 2, 1, 2, 1)
    assert [chunk.state for chunk in reading.chunks] == [
        ChunkState.COMPLETE,
        ChunkState.PARTIAL,
        ChunkState.MISSING,
        ChunkState.PARTIAL,
        ChunkState.UNREADABLE,
    ]
    assert reading.unfinished == (1, 2, 3, 4)
    assert len(taken) == 4
    assert reading.chunks[3].problem == "the file lists 1 of 2 images"


def test_invalid_line_makes_only_its_chunk_unreadable(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg"), '{"name": "half', done("b.jpg")])
    write_chunk(store, layout, 1, [done("c.jpg")])
    store.write(layout.results(2), b"\xff\xfe\n")
    reading, taken = _read(store, layout, 3, 1, 1)
    assert [chunk.state for chunk in reading.chunks] == [
        ChunkState.UNREADABLE,
        ChunkState.COMPLETE,
        ChunkState.UNREADABLE,
    ]
    assert "half" in str(reading.chunks[0].problem)
    assert [result.source.name for result in taken] == ["a.jpg", "b.jpg", "c.jpg"]


def test_files_of_unplanned_chunks_are_ignored(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg")])
    write_chunk(store, layout, 1, [done("a.jpg")])
    reading, taken = _read(store, layout, 1)
    assert len(taken) == len(reading.chunks) == 1


def test_cloud_fraction_out_of_range_is_dropped(store: Store, layout: RunLayout) -> None:
    odd = done("a.jpg").to_line().replace('"cloud_fraction": 0.5', '"cloud_fraction": NaN')
    write_chunk(store, layout, 0, [odd, done("b.jpg", 7.0), done("c.jpg", 0.25)])
    reading, taken = _read(store, layout, 3)
    assert [result.cloud_fraction for result in taken] == [None, None, 0.25]
    assert reading.cover.count == 1


def test_lone_surrogates_are_replaced(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg").to_line().replace("a.jpg", "\\ud800.jpg")])
    _, taken = _read(store, layout, 1)
    assert taken[0].source.name == "?.jpg"
