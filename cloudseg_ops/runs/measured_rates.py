"""Reads the measured speeds of chunks from the latest reports."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from cloudseg_ops.contracts.errors import StorageError
from cloudseg_ops.contracts.provenance import REPORTS_FOLDER
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.forecast import MeasuredChunk, MeasuredRun
from cloudseg_ops.runs.report_file import read_before
from cloudseg_ops.storage import ObjectInfo, Store
from cloudseg_ops.storage.concurrency import in_order

REPORTS_READ = 5
_READS_AT_ONCE = 5
_LARGEST_HEAD = 4_000_000
"""Maximum size in bytes of a report before its lists of images; 1,024 chunks need a tenth of it."""

_log = logging.getLogger(__name__)


def read_measured_runs(store: Store, output: GcsUri, *, limit: int = REPORTS_READ) -> list[MeasuredRun]:
    """Return the speeds measured in the latest reports, newest first.

    Of each report, only the part before its lists of images is read. Unreadable reports are left out.

    Args:
        store: Cloud Storage.
        output: The output bucket.
        limit: Maximum number of reports to read.

    Raises:
        StorageError: The reports could not be listed.
    """
    listed = store.list_objects(GcsUri(output.bucket, REPORTS_FOLDER))
    reports = (info for info in listed if info.name.endswith("/report.json"))
    latest = heapq.nlargest(limit, reports, key=lambda info: info.updated)
    read = in_order(lambda info: _read(store, info), latest, at_once=_READS_AT_ONCE)
    return [run for run in read if run is not None]


def measured_chunks(chunks: Iterable[Mapping[str, Any]]) -> list[MeasuredChunk]:
    """Return the complete chunks of a report whose last try segmented at least half of the images.

    Images that a retry skips take almost no time, so that they would distort the rate.

    Raises:
        KeyError, TypeError: The chunks are not in the format of a report.
    """
    return [
        MeasuredChunk(images, float(chunk["seconds"]), chunk.get("start_seconds"))
        for chunk in chunks
        if chunk["state"] == "complete"
        and chunk["seconds"]
        and 2 * (images := int(chunk["outcomes"]["done"])) >= chunk["objects"] > 0
    ]


def _read(store: Store, info: ObjectInfo) -> MeasuredRun | None:
    uri = GcsUri(info.bucket, info.name)
    try:
        head = read_before(store, uri, "quarantined", max_bytes=_LARGEST_HEAD, generation=info.generation)
        model = head.get("model") or {}
        return MeasuredRun(str(head["run_id"]), model.get("digest"), measured_chunks(head["chunks"]))
    except (StorageError, ValueError, KeyError, TypeError, AttributeError) as error:
        _log.warning("cannot read a rate from %s: %s: %s", uri, type(error).__name__, error)
        return None
