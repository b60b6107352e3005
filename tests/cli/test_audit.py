"""`cloudseg audit` against the emulator, as an operator calls it."""

import json

import pytest

from cloudseg_ops.cli.commands import main
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.support.samples import put_inputs, put_masks, put_snapshot, source_of

Output = pytest.CaptureFixture[str]


@pytest.fixture
def run(store: Store, buckets: Buckets, layout: RunLayout) -> str:
    """The id of a run with one input left in INPUT, one masked and one lost."""
    versions = put_inputs(store, buckets.input, ["a.jpg", "b.jpg", "c.jpg"])
    put_masks(store, buckets.output, [source_of(versions[1], buckets.input)])
    store.delete_many(buckets.input, [(item.name, item.generation) for item in versions[1:]])
    put_snapshot(store, layout, versions)
    put_snapshot(store, buckets.layout("holds"), versions[:2])
    return layout.run_id


def test_audit_of_a_complete_run(environment: None, run: str, capsys: Output) -> None:
    assert main(["audit", "--run", "holds"]) == 0
    shown = capsys.readouterr().out
    assert "run holds: 2 input versions" in shown
    assert "every input is accounted for" in shown
    assert "LOST" not in shown


def test_audit_of_a_run_that_lost_an_input(environment: None, run: str, capsys: Output) -> None:
    assert main(["audit", "--run", run]) == 1
    shown = capsys.readouterr().out
    assert "INPUTS ARE LOST" in shown
    assert "  lost: c.jpg#" in shown
    assert "accounted" not in shown


def test_audit_as_json(environment: None, run: str, capsys: Output) -> None:
    assert main(["audit", "--run", run, "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["run_id"] == run
    assert result["holds"] is False
    assert result["objects"] == 3
    assert result["places"] == {"input": 1, "masked": 1, "quarantined": 0, "superseded": 0, "lost": 1}
    assert result["lost"][0].startswith("c.jpg#")
    assert main(["audit", "--run", "holds", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True


def test_audit_of_a_missing_run_fails(environment: None, buckets: Buckets, capsys: Output) -> None:
    assert main(["audit", "--run", "nonesuch"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("cloudseg: run 'nonesuch' has no snapshot")
    assert f"gs://{buckets.staging}/runs/" in captured.err


def test_audit_requires_a_run(environment: None, capsys: Output) -> None:
    assert main(["audit"]) == 2
    assert "--run RUN_ID" in capsys.readouterr().err


def test_audit_requires_settings(environment: None, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.delenv("CLOUDSEG_INPUT_BUCKET")
    assert main(["audit", "--run", "r"]) == 2
    assert "CLOUDSEG_INPUT_BUCKET is not set" in capsys.readouterr().err


def test_missing_bucket_is_not_reported_as_a_lost_input(
    environment: None, run: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("CLOUDSEG_OUTPUT_BUCKET", "nowhere-1")
    assert main(["audit", "--run", run]) == 2
    assert "gs://nowhere-1: there is no such bucket" in capsys.readouterr().err
