import json

import pytest

from cloudseg_ops.contracts.errors import ObjectNotFoundError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report import write_report
from cloudseg_ops.runs.report_file import read_before, read_head
from cloudseg_ops.storage import Store
from tests.support.report_runs import done, facts_of, planned, quarantined, write_chunk, written

_PIECE = 256 * 1024
_LARGE = 4_000_000


def test_fields_before_each_list_are_read(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg"), quarantined("b.jpg", "no image")])
    report = write_report(store, layout, facts_of(layout, planned(layout, 2)))
    whole = written(store, layout)
    head = read_before(store, layout.report_json, "chunks", max_bytes=_LARGE)
    assert head == report.to_json() == read_head(store, layout)
    with_chunks = read_before(store, layout.report_json, "quarantined", max_bytes=_LARGE)
    assert with_chunks == {**head, "chunks": whole["chunks"]}
    assert read_before(store, layout.report_json, "images", max_bytes=_LARGE) == {
        **with_chunks,
        "quarantined": whole["quarantined"],
    }


def test_list_beyond_the_first_part_is_found(store: Store, layout: RunLayout) -> None:
    write_report(store, layout, facts_of(layout, planned(layout, *[1] * 1024)))
    size = store.stat(layout.report_json)
    assert size is not None
    assert size.size > _PIECE
    found = read_before(store, layout.report_json, "quarantined", max_bytes=_LARGE)
    assert found["chunks"] == written(store, layout)["chunks"]
    with pytest.raises(ValueError, match="has no line"):
        read_before(store, layout.report_json, "quarantined", max_bytes=_PIECE // 2)


@pytest.mark.parametrize("missing", range(-2, 14))
def test_list_that_starts_across_two_parts_is_found(store: Store, layout: RunLayout, missing: int) -> None:
    """The comma, the line end and `"chunks": [` are about twelve bytes; the first part ends at each of them."""
    head = '{"pad": "'
    text = head + "x" * (_PIECE - len(head) - 1 - missing) + '",\n"chunks": [\n]}'
    store.write(layout.report_json, text.encode())
    found = read_before(store, layout.report_json, "chunks", max_bytes=_LARGE)
    assert found == {"pad": json.loads(text)["pad"]}


def test_missing_report_has_no_head(store: Store, layout: RunLayout) -> None:
    assert read_head(store, layout) is None
    with pytest.raises(ObjectNotFoundError):
        read_before(store, layout.report_json, "chunks", max_bytes=_LARGE)


def test_requested_generation_is_read(store: Store, layout: RunLayout) -> None:
    first = store.write(layout.report_json, b'{\n"run_id": "x"\n,\n"chunks": [\n]}')
    store.write(layout.report_json, b'{\n"run_id": "y"\n,\n"chunks": [\n]}')
    assert read_before(store, layout.report_json, "chunks", max_bytes=_LARGE) == {"run_id": "y"}
    with pytest.raises(ObjectNotFoundError):
        read_before(store, layout.report_json, "chunks", max_bytes=_LARGE, generation=first.generation)
