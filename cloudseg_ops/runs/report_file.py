"""Reads report.json without its lists, which grow with the run: the one place that knows how the file is cut.

report.json is an object whose lists come last, in the order of `LISTS`, each beginning on a new line. So what
comes before a list is JSON once it is closed, and can be read without the rest.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from cloudseg_ops.contracts.errors import ObjectNotFoundError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store

ReportList = Literal["chunks", "quarantined", "images"]
"""A list of report.json, in the order in which they follow its head."""
# The head goes through XCom, and is small for that reason.
_PIECE_BYTES = 256 * 1024
_LARGEST_HEAD = _PIECE_BYTES


def list_start(name: ReportList) -> str:
    """The line that begins a list of report.json."""
    return f'"{name}": ['


def read_head(store: Store, layout: RunLayout) -> dict[str, Any] | None:
    """Read the head of a run's report.json: all but its lists.

    Returns:
        What `Report.to_json` gave; None when the run has no report (yet), or not one of this form.
    """
    try:
        return read_before(store, layout.report_json, "chunks", max_bytes=_LARGEST_HEAD)
    except (ObjectNotFoundError, ValueError):
        return None


def read_before(
    store: Store, uri: GcsUri, name: ReportList, *, max_bytes: int, generation: int | None = None
) -> dict[str, Any]:
    """Read a report.json up to one of its lists.

    Args:
        store: Cloud Storage.
        uri: The file.
        name: The first list that is left out.
        max_bytes: Look no further than this for the list.
        generation: The file's version; None: the present one.

    Raises:
        ObjectNotFoundError: It is not there.
        ValueError: It has no such list within `max_bytes`, or what comes before is not JSON.
    """
    # Within JSON strings, a line end is escaped: this is never part of a name.
    end = f",\n{list_start(name)}".encode()
    begin = b""
    while len(begin) < max_bytes:
        piece = store.read_part(uri, len(begin), min(len(begin) + _PIECE_BYTES, max_bytes), generation=generation)
        # The end may lie across two pieces.
        searched = max(0, len(begin) - len(end))
        begin += piece
        if (at := begin.find(end, searched)) >= 0:
            fields: dict[str, Any] = json.loads(begin[:at] + b"}")
            return fields
        if len(piece) < _PIECE_BYTES:
            break
    raise ValueError(f"it has no line {list_start(name)} where one is expected")
