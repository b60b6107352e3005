from datetime import timedelta

import pytest

from cloudseg_ops.runs.progress import ChunkPhase, ChunkProgress, RunProgress, combine
from cloudseg_ops.runs.progress_text import chunk_lines, chunks_line, progress_line
from tests.support.samples import WHEN


def _run(*chunks: tuple[int, int, float, str]) -> RunProgress:
    return combine(
        [
            ChunkProgress(index, done, total, rate, WHEN, ChunkPhase(state))
            for index, (done, total, rate, state) in enumerate(chunks)
        ],
        at_once=None,
    )


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (_run(), "nothing is planned yet"),
        (_run((0, 1000, 0.0, "waiting")), "0 of 1,000 images"),
        (_run((0, 1000, 0.0, "running")), "0 of 1,000 images"),
        (_run((400, 1000, 10.0, "running")), "400 of 1,000 images · 10.0 images/s · about 1 min 00 s left"),
        (_run((5, 5, 2.0, "done")), "5 of 5 images · every chunk is done"),
        (_run((5, 5, 2.0, "done"), (3, 5, 2.0, "stopped")), "8 of 10 images · about 1.0 s left"),
    ],
)
def test_run_progress_is_one_line(progress: RunProgress, expected: str) -> None:
    assert progress_line(progress) == expected


def test_chunk_lines_list_the_active_chunks() -> None:
    found = _run((5, 5, 2.0, "done"), (1_420, 5_000, 12.34, "running"), (3, 5, 0.0, "stalled"), (0, 5, 0.0, "waiting"))
    assert chunks_line(found) == "4 chunks: 1 waiting, 1 running, 1 stalled, 1 done"
    assert chunk_lines(found, now=WHEN + timedelta(seconds=3)) == [
        "  00001  running  1,420 of 5,000 images    12.3 images/s  updated 3.0 s ago",
        "  00002  stalled          3 of 5 images     0.0 images/s  updated 3.0 s ago",
    ]
    assert chunks_line(_run((0, 1, 0.0, "waiting"))) == "1 chunk: 1 waiting"
