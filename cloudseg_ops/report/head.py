"""Reads the head of a report.json without the rest, which grows with the number of images."""

from __future__ import annotations

import json
from typing import Any

from cloudseg_ops.contracts.errors import ObjectNotFoundError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.storage import Store

# It goes through XCom, and is small for that reason.
_MOST_BYTES = 256 * 1024
_END = b',\n"chunks": ['


def read_head(store: Store, layout: RunLayout) -> dict[str, Any] | None:
    """Read the head of a run's report.json.

    Returns:
        What `Report.to_json` gave; None when the run has no report (yet), or not one of this form.
    """
    try:
        begin = store.read_part(layout.report_folder / "report.json", 0, _MOST_BYTES)
    except ObjectNotFoundError:
        return None
    head, end, _ = begin.partition(_END)
    if not end:
        return None
    try:
        fields: dict[str, Any] = json.loads(head + b"}")
    except ValueError:
        return None
    return fields
