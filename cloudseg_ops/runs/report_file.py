"""Reads report.json without its lists, which grow with the run.

The lists come last in the file, in the order of `ReportList`, and each begins on a new line. The text before a list,
plus a closing brace, is therefore valid JSON that can be read without the rest.
"""

from __future__ import annotations

from typing import Any, Literal

from cloudseg_ops.contracts.errors import ObjectNotFoundError
from cloudseg_ops.contracts.json_text import load_json
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store

ReportList = Literal["chunks", "quarantined", "images"]
"""The lists of report.json, in the order in which they follow its head."""
# The head is small, because it is also passed through XCom.
_PIECE_BYTES = 256 * 1024
_LARGEST_HEAD = _PIECE_BYTES


def list_start(name: ReportList) -> str:
    """Return the line that begins a list of report.json."""
    return f'"{name}": ['


def read_head(store: Store, layout: RunLayout) -> dict[str, Any] | None:
    """Read the head of a run's report.json: everything but its lists.

    Returns:
        The result of `Report.to_json`, or None if the run has no report yet or the report is not in this format.
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
        max_bytes: Search for the list only within this many bytes.
        generation: The file's version; None: the current one.

    Raises:
        ObjectNotFoundError: The file does not exist.
        ValueError: The list does not begin within `max_bytes`, or the text before it is not JSON.
    """
    # JSON strings contain no literal line ends, so this cannot occur in a name.
    end = f",\n{list_start(name)}".encode()
    begin = b""
    while len(begin) < max_bytes:
        piece = store.read_part(uri, len(begin), min(len(begin) + _PIECE_BYTES, max_bytes), generation=generation)
        # The end may be split across two pieces.
        searched = max(0, len(begin) - len(end))
        begin += piece
        if (at := begin.find(end, searched)) >= 0:
            fields: dict[str, Any] = load_json(begin[:at] + b"}")
            return fields
        if len(piece) < _PIECE_BYTES:
            break
    raise ValueError(f"it has no line {list_start(name)} where one is expected")
