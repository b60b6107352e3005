"""`cloudseg progress` against the emulator, as an operator calls it."""

import json
import threading
import time

import pytest

from cloudseg_ops.cli.commands import main
from cloudseg_ops.cli.progress import is_over
from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.contracts.results import ChunkSummary
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report.plan_page import write_plan_pages
from cloudseg_ops.runs.chunk_plan import write_plan
from cloudseg_ops.runs.progress import read_run_progress
from cloudseg_ops.runs.snapshots import Snapshot
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.support.run_plans import plan_of
from tests.support.samples import put_snapshot, version

Output = pytest.CaptureFixture[str]


@pytest.fixture
def environment(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSEG_POOL_SLOTS", "2")


def write_status(store: Store, layout: RunLayout, index: int, done: int, *, ended: bool = False) -> None:
    store.write(layout.progress(index), b"", metadata=ChunkStatus(done, 4, 2.0, ended).to_metadata())


def finish_chunk(store: Store, layout: RunLayout, index: int) -> None:
    store.write_lines(layout.results(index), [], metadata=ChunkSummary(0.0, 2.0, 4, complete=True).to_metadata())


@pytest.fixture
def run(store: Store, layout: RunLayout) -> RunLayout:
    """Three chunks of four images, of which one is done and one runs."""
    put_snapshot(store, layout, [version(f"{number:02}.jpg") for number in range(12)])
    write_plan(store, layout, Snapshot(layout.snapshot, 12, 12_000), chunk_objects=4, max_chunks=200)
    write_status(store, layout, 0, 4, ended=True)
    finish_chunk(store, layout, 0)
    write_status(store, layout, 1, 1)
    return layout


def test_progress_of_a_run(environment: None, run: RunLayout, capsys: Output) -> None:
    assert main(["progress", "--run", run.run_id]) == 0
    lines = capsys.readouterr().out.splitlines()
    # One of two slots is free; the chunk that will take it needs two seconds.
    assert lines[0] == "run test-run: 5 of 12 images · 2.0 images/s · about 2.0 s left"
    assert lines[1] == "3 chunks: 1 waiting, 1 running, 1 done"
    assert lines[2].startswith("  00001  running  1 of 4 images     2.0 images/s  updated ")
    assert len(lines) == 3


def test_progress_as_json(environment: None, run: RunLayout, capsys: Output) -> None:
    assert main(["progress", "--run", run.run_id, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["run_id"], result["done"], result["total"], result["seconds_left"]) == ("test-run", 5, 12, 2.0)
    assert [chunk["state"] for chunk in result["chunks"]] == ["done", "running", "waiting"]


def test_watch_ends_with_the_run(
    environment: None, run: RunLayout, store: Store, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudseg_ops.cli.progress._LOOK_SECONDS", 0.05)
    code: list[int] = []
    watching = threading.Thread(target=lambda: code.append(main(["progress", "--run", run.run_id, "--watch"])))
    watching.start()
    time.sleep(0.5)
    assert watching.is_alive()
    for index in (1, 2):
        finish_chunk(store, run, index)
    watching.join(10)
    assert code == [0]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("5 of 12 images · 2.0 images/s · about ")
    assert lines[-1] == "12 of 12 images · every chunk is done · 3 chunks: 3 done"
    # Unchanged lines are not repeated.
    assert len(lines) == len(set(lines)) < 6


def test_reported_run_is_over_unless_its_chunks_run_again(store: Store, run: RunLayout) -> None:
    assert not is_over(store, run, read_run_progress(store, run))
    store.write(run.report_folder / "report.json", b"{}")
    assert is_over(store, run, read_run_progress(store, run))
    time.sleep(0.01)
    write_status(store, run, 2, 1)
    assert not is_over(store, run, read_run_progress(store, run))


def test_watch_of_a_dry_run_ends(environment: None, store: Store, layout: RunLayout, capsys: Output) -> None:
    assert not is_over(store, layout, read_run_progress(store, layout))
    write_plan_pages(store, plan_of(layout, 5, dry_run=False))  # its list of chunks does not exist yet
    assert not is_over(store, layout, read_run_progress(store, layout))
    write_plan_pages(store, plan_of(layout, 5, dry_run=True))
    assert main(["progress", "--run", layout.run_id, "--watch"]) == 0
    assert capsys.readouterr().out == "nothing is planned yet\n"


def test_run_without_a_plan_is_reported(environment: None, buckets: Buckets, capsys: Output) -> None:
    assert main(["progress", "--run", "nonesuch"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"cloudseg: run 'nonesuch' has no plan at gs://{buckets.staging}/runs/nonesuch/")


def test_progress_requires_a_run(environment: None, capsys: Output) -> None:
    assert main(["progress"]) == 2
    assert "--run RUN_ID" in capsys.readouterr().err
