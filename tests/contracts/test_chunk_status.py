import json
import logging

import pytest

from cloudseg_ops.contracts.chunk_status import ChunkStatus, parse_progress_line
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.engine.process.logs import JsonFormatter
from cloudseg_ops.engine.scheduling.progress import ProgressReporter
from cloudseg_ops.engine.scheduling.result_log import ResultLog


@pytest.mark.parametrize("ended", [True, False])
def test_chunk_status_round_trip(ended: bool) -> None:
    status = ChunkStatus(420, 500, 12.125, ended)
    metadata = status.to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert ChunkStatus.from_metadata(metadata) == status


def test_metadata_of_other_objects_is_ignored() -> None:
    whole = ChunkStatus(1, 2, 3.0, ended=False).to_metadata()
    assert ChunkStatus.from_metadata({}) is None
    for key in whole:
        assert ChunkStatus.from_metadata({other: value for other, value in whole.items() if other != key}) is None
    assert ChunkStatus.from_metadata(whole | {"cloudseg-done": "many"}) is None


@pytest.mark.parametrize("as_json", [True, False])
def test_progress_lines_of_the_engine_are_parsed(caplog: pytest.LogCaptureFixture, as_json: bool) -> None:
    """Lines that the reporter writes to the log, as a task reads them."""
    caplog.set_level(logging.INFO)
    source = InputObject("a.jpg", 1, 1, "")
    result_log = ResultLog(3)
    with ProgressReporter(result_log, 60):
        result_log.record(0, source, Result(source, Outcome.DONE))
    line = JsonFormatter().format(caplog.records[-1]) if as_json else f"03:00:00 INFO {caplog.records[-1].getMessage()}"
    assert json.loads(JsonFormatter().format(caplog.records[-1]))["event"] == "summary"
    parsed = parse_progress_line(line)
    assert parsed is not None
    assert (parsed.done, parsed.total, parsed.ended) == (1, 3, True)
    progress = parse_progress_line(line.replace("summary", "progress"))
    assert progress is not None
    assert not progress.ended


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1 of 3 images",
        "no progress: 1 of 3 pictures",
        "batches of 8: 1.7 ms a megapixel",
        f"progress: {5000 * chr(57)} of 3 images, 1.5 images/s",
    ],
)
def test_other_lines_are_ignored(line: str) -> None:
    assert parse_progress_line(line) is None
