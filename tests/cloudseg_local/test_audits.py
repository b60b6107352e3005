import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloudseg_local.__main__ import main
from cloudseg_local.audits import audit_local_run, newest_run
from cloudseg_local.emulator import local_store
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET, REPOSITORY, STAGING_BUCKET
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.audit import Audit
from cloudseg_ops.storage import Store
from gcs_emulator import start_emulator
from tests.support.samples import put_inputs, put_snapshot


def _layout(run_id: str) -> RunLayout:
    return RunLayout(GcsUri(STAGING_BUCKET), GcsUri(OUTPUT_BUCKET), run_id)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder with two runs and stopped services."""
    with start_emulator(tmp_path / "gcs") as emulator:
        store = Store(emulator.client())
        for name in (INPUT_BUCKET, OUTPUT_BUCKET, STAGING_BUCKET):
            store.create_bucket(name)
        versions = put_inputs(store, INPUT_BUCKET, ["a.jpg", "b.jpg"])
        put_snapshot(store, _layout("z-older"), versions[:1])
        time.sleep(0.01)
        put_snapshot(store, _layout("a-newer"), versions)
        store.delete_many(INPUT_BUCKET, [(versions[1].name, versions[1].generation)])
    return tmp_path


def audited(folder: Path, run_id: str | None = None) -> tuple[str, Audit]:
    with local_store(folder) as store:
        run_id = run_id or newest_run(store)
        return run_id, audit_local_run(store, run_id)


def test_newest_run_is_audited_with_all_services_stopped(folder: Path) -> None:
    run_id, audit = audited(folder)
    assert run_id == "a-newer"
    assert audit.places["lost"] == 1
    run_id, audit = audited(folder, "z-older")
    assert run_id == "z-older"
    assert audit.holds


def test_exit_code_reports_lost_inputs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--state", str(folder)]) == 1
    assert "run a-newer: 2 input versions" in capsys.readouterr().out
    assert main(["audit", "--state", str(folder), "--run", "z-older", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run_id"] == "z-older"


def test_audit_while_the_services_are_up(folder: Path) -> None:
    with start_emulator(folder / "gcs") as emulator:
        port = int(emulator.url.rsplit(":", 1)[1])
        (folder / "up.json").write_text(json.dumps({"ui_port": 1, "gcs_port": port}))
        assert audited(folder)[0] == "a-newer"


def test_audit_while_the_services_listen_for_pods(folder: Path) -> None:
    other = "127.0.0.2"
    with start_emulator(folder / "gcs", host=other) as emulator:
        port = int(emulator.url.rsplit(":", 1)[1])
        (folder / "up.json").write_text(json.dumps({"ui_port": 1, "gcs_port": port, "gcs_host": other}))
        assert audited(folder)[0] == "a-newer"


def test_audit_during_a_demo_is_rejected(folder: Path) -> None:
    with start_emulator(folder / "gcs"), pytest.raises(LocalError, match="a demo seems to be running"):
        audited(folder)


def test_audit_after_a_crash_does_not_wait_for_the_services(folder: Path) -> None:
    """up.json exists and no service listens: the command must not wait for minutes."""
    (folder / "up.json").write_text(json.dumps({"ui_port": 1, "gcs_port": 1}))
    command = [sys.executable, "-m", "cloudseg_local", "audit", "--state", str(folder), "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=15)
    assert done.returncode in (1, 2), done.stderr


def test_missing_run_is_reported(folder: Path) -> None:
    with pytest.raises(LocalError, match="'nonesuch' took no snapshot"):
        audited(folder, "nonesuch")


def test_folder_without_a_setup_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="holds no local setup"):
        audited(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_setup_without_a_run_is_reported(tmp_path: Path) -> None:
    with start_emulator(tmp_path / "gcs") as emulator:
        Store(emulator.client()).create_bucket(STAGING_BUCKET)
    with pytest.raises(LocalError, match="no run has taken a snapshot yet"):
        audited(tmp_path)
