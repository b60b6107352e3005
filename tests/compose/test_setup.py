"""The setup of docker-compose.yaml, started on a real Docker engine from a copy of the repository.

The tests depend on each other and run in this order: up, a run, an edit, a run during which the database and the
scheduler are restarted, down. They take five minutes, and need the image that tests/compose/try.sh builds.

Without access to a registry, tests/compose/try.sh builds stand-ins for the two base images. Then these tests do not
check that the official images have what is used of them (docs/compose.md lists that). With Compose v1 they do not check
v2, and vice versa.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.samples import write_photographs
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET
from cloudseg_ops.contracts.uris import GcsUri
from tests.compose.project import LOGIN, Project, clone, why_no_compose
from tests.support.running import free_port
from tests.support.samples import names_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("compose")]

SCENES = 24
MORE = 90


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    if reason := why_no_compose():
        pytest.skip(f"{reason}; docker-compose.yaml is not tested")
    folder = tmp_path_factory.mktemp("clone")
    clone(folder)
    made = Project(folder, f"cloudseg-test-{free_port()}", free_port(), free_port(), {"SUBNET": "10.213.98"})
    try:
        made.compose("up", "--detach")
        made.await_healthy()
        yield made
    finally:
        logs = made.compose("logs", "--no-color")
        (folder / "compose.log").write_text(logs)
        made.compose("down", "--volumes", "--timeout", "5")


def test_compose_accepts_the_file(setup: Project) -> None:
    assert "postgres:15" in setup.compose("config")
    setup.compose("--profile", "k8s", "config", "--quiet")


def test_one_shot_services_exit_and_the_others_are_healthy(setup: Project) -> None:
    assert setup.health() == {
        "keys": "exited 0",
        "init": "exited 0",
        "postgres": "healthy",
        "emulator": "healthy",
        "api-server": "healthy",
        "scheduler": "healthy",
        "dag-processor": "healthy",
        "triggerer": "healthy",
    }


def test_first_run_segments_the_example_photographs(setup: Project) -> None:
    assert len(names_in(setup.store, INPUT_BUCKET)) == SCENES + 2
    setup.wait_for(lambda: setup.api.has_dag(DAG_ID) or None)
    run_id = setup.trigger()
    assert setup.await_end(run_id) == "success"
    assert setup.states(run_id, "segment") == ["success"] * 3
    setup.assert_all_done(run_id, SCENES + 2, SCENES)


def test_ports_are_on_loopback_and_no_process_is_root(setup: Project) -> None:
    published = {
        (name, bound["HostIp"])
        for name, each in setup.containers().items()
        for port in (each["NetworkSettings"]["Ports"] or {}).values()
        for bound in port or ()
    }
    assert published == {("api-server", "127.0.0.1"), ("emulator", "127.0.0.1")}
    for name, each in setup.containers().items():
        if each["State"]["Running"]:
            # The first process may be Docker's init, as the same user.
            processes = setup.execute(name, "sh", "-c", "cat /proc/[0-9]*/status | grep ^Uid").splitlines()
            users = {line.split()[1] for line in processes}
            assert users
            assert "0" not in users, name


def test_environments_and_logs_contain_no_secret(setup: Project) -> None:
    files = {
        "api-server": [
            *("login/password", "login/viewer-password"),
            *("keys/fernet-key", "keys/jwt-secret", "keys/api-secret-key"),
        ],
        "postgres": ["database/password"],
    }
    secrets = [
        setup.execute(service, "cat", f"/var/lib/cloudseg/{name}").strip()
        for service, names in files.items()
        for name in names
    ]
    assert len(set(secrets)) == 6
    output = f"{setup.containers()} {setup.compose('logs', '--no-color')} {setup.compose('config')}"
    assert not [secret for secret in secrets if secret in output]


def test_access_requires_the_login(setup: Project) -> None:
    url = f"http://127.0.0.1:{setup.ui_port}"
    assert requests.get(f"{url}/api/v2/dags", timeout=30).status_code == 401
    for password in ("admin", "airflow"):
        login = {"username": "admin", "password": password}
        assert requests.post(f"{url}/auth/token", json=login, timeout=30).status_code == 401


def test_viewer_has_read_only_access(setup: Project) -> None:
    url = f"http://127.0.0.1:{setup.ui_port}"
    login = {"username": "viewer", "password": setup.execute("api-server", "cat", f"{LOGIN}/viewer-password").strip()}
    token = requests.post(f"{url}/auth/token", json=login, timeout=30).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    runs = f"{url}/api/v2/dags/{DAG_ID}/dagRuns"
    assert requests.get(runs, headers=headers, timeout=30).json()["total_entries"] == 1
    assert requests.post(runs, headers=headers, json={"logical_date": None}, timeout=30).status_code == 403


def test_edited_dag_is_shown_without_a_build(setup: Project) -> None:
    dag = setup.folder / "dags" / "cloud_segmentation.py"
    dag.write_text(dag.read_text("utf-8").replace("Segments the photographs", "Edited: segments the photographs"))

    def shown() -> bool | None:
        found = setup.api._send("GET", f"/dags/{DAG_ID}").json()["description"]
        return True if found.startswith("Edited: ") else None

    setup.wait_for(shown)


def test_run_survives_restarts_of_database_and_scheduler(setup: Project, tmp_path: Path) -> None:
    for path in write_photographs(tmp_path, MORE, seed=1000):
        setup.store.write(GcsUri(INPUT_BUCKET, f"more/{path.name}"), path.read_bytes())
    time.sleep(1.1)  # settled, with the settings of the setup
    run_id = setup.trigger()
    setup.wait_for(lambda: "running" in setup.states(run_id, "segment") or None, 180)
    setup.compose("restart", "--timeout", "10", "postgres")
    setup.wait_for(lambda: setup.states(run_id, "segment").count("success") >= 2 or None, 300)
    left = setup.states(run_id, "segment")
    assert set(left) != {"success"}, "the run ended before the scheduler could be restarted: give it more to do"
    setup.compose("restart", "--timeout", "0", "scheduler")
    assert setup.await_end(run_id) == "success"
    setup.assert_all_done(run_id, MORE, MORE, "more/")
    setup.await_healthy()


def test_second_up_keeps_the_data(setup: Project) -> None:
    before = setup.password, names_in(setup.store, OUTPUT_BUCKET)
    setup.compose("down", "--timeout", "10")
    setup.compose("up", "--detach")
    setup.await_healthy()
    assert setup.execute("api-server", "cat", f"{LOGIN}/password").strip() == before[0]
    assert names_in(setup.store, OUTPUT_BUCKET) == before[1]
    assert names_in(setup.store, INPUT_BUCKET) == []
    assert setup.api.has_dag(DAG_ID)


def test_down_removes_everything(setup: Project) -> None:
    assert setup.left()
    setup.compose("down", "--volumes", "--timeout", "5")
    assert setup.left() == []
