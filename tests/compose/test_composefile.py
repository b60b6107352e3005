"""Checks of docker-compose.yaml that do not need Docker."""

import re
from pathlib import Path
from typing import Any

import pytest

from cloudseg_local import airflow_server
from cloudseg_local.compose import keys
from cloudseg_local.compose.__main__ import VOLUMES
from cloudseg_local.compose.health import SERVICES
from cloudseg_local.state import REPOSITORY, LocalState
from cloudseg_ops.config.models import PREFIX
from cloudseg_ops.config.settings import Settings, variables
from tests.compose.composefile import airflow_environment, composefile, defaults, services, used_variables

AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
OURS = ("keys", "emulator", "init", *AIRFLOW, "cluster")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|FERNET|_KEY|SQL_ALCHEMY_CONN")
# Where the demo's Airflow and this one differ on purpose: other addresses and folders, secrets in files, fewer options.
DIFFERENT = {
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__API__HOST",
    "AIRFLOW__API__PORT",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__CORE__DAGS_FOLDER",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__CORE__PLUGINS_FOLDER",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
    "CLOUDSEG_ENGINE_OPTIONS",
    "CLOUDSEG_MODEL_REPOSITORY",
    "CLOUDSEG_POOL_SLOTS",
}


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Volumes and folders of a service: source → target and options."""
    return dict(mount.split(":", 1) for mount in service.get("volumes", ()))


def test_every_image_has_an_exact_tag() -> None:
    tags = {name: service["image"].partition(":")[2] for name, service in services().items()}
    assert all(tag == "dev" for name, tag in tags.items() if name in OURS)
    assert all(re.search(r"\d+\.\d+", tag) for name, tag in tags.items() if name not in OURS)
    assert re.fullmatch(r"apache/airflow:slim-3\.\d+\.\d+-python3\.11", defaults()["AIRFLOW_BASE"])


def test_base_image_is_that_of_the_dockerfile() -> None:
    text = (REPOSITORY / "docker" / "airflow" / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^ARG BASE=(.*)$", text, flags=re.MULTILINE) == [defaults()["AIRFLOW_BASE"]]


def test_ports_are_published_on_loopback_only() -> None:
    ports = {port: name for name, service in services().items() for port in service.get("ports", ())}
    assert ports == {"127.0.0.1:8080:8080": "api-server", "127.0.0.1:4443:4443": "emulator"}


def test_only_the_cluster_has_root_or_capabilities() -> None:
    for name, service in services().items():
        if name == "k3s":
            assert service["profiles"] == ["k8s"]
            continue
        assert service["user"] == ("postgres" if name == "postgres" else "50000:0")
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service


def test_file_and_defaults_contain_no_secret() -> None:
    named = {
        key: value
        for service in services().values()
        for key, value in service.get("environment", {}).items()
        if SECRET.search(key)
    }
    assert len(named) == 6
    assert all(key.endswith(("_CMD", "_FILE")) for key in named)
    assert not [name for name in defaults() if SECRET.search(name)]


def test_airflow_reads_its_secrets_with_commands() -> None:
    from airflow.configuration import conf

    commands = {key: value for key, value in airflow_environment().items() if key.endswith("_CMD")}
    options = {tuple(key.removesuffix("_CMD").lower().split("__")[1:]) for key in commands}
    assert options <= conf.sensitive_config_values
    files = {command.removeprefix(f"cat {VOLUMES}/keys/") for command in commands.values()}
    assert files == {keys.DATABASE_URL, keys.FERNET_KEY, *keys.SECRET_KEYS}


@pytest.mark.parametrize(
    ("volume", "readers"),
    [
        ("database-password", {"keys", "postgres"}),
        ("keys", {"keys", "init", *AIRFLOW}),
        ("login", {"keys", "api-server"}),
        ("k3s-admin", {"k3s", "cluster"}),
        ("kube", {"cluster", "scheduler", "triggerer"}),
    ],
)
def test_readers_of_each_secret_volume(volume: str, readers: set[str]) -> None:
    assert {name for name, service in services().items() if volume in mounts(service)} == readers


def test_secrets_are_writable_only_where_they_are_made() -> None:
    writable = {
        (volume, name)
        for name, service in services().items()
        for volume, where in mounts(service).items()
        if volume in {"database-password", "keys", "login", "kube"} and not where.endswith(":ro")
    }
    makers = {("database-password", "keys"), ("keys", "keys"), ("login", "keys"), ("kube", "cluster")}
    assert writable == makers | {("login", "api-server")}


def test_code_is_mounted_read_only() -> None:
    for name in OURS:
        found = {source: where for source, where in mounts(services()[name]).items() if source.startswith("./")}
        assert "./cloudseg_ops" in found
        assert ("./dags" in found) == (name in (*AIRFLOW, "init"))
        assert all(where == f"/opt/cloudseg{source[1:]}:ro" for source, where in found.items())


def test_every_volume_is_used_and_named() -> None:
    used = {source for service in services().values() for source in mounts(service) if not source.startswith("./")}
    assert used == set(composefile()["volumes"])


def test_airflow_options_match_those_of_the_demo(tmp_path: Path) -> None:
    demo = airflow_server.airflow_environment(LocalState(tmp_path, 8080, 4443), {"chunk_objects": 10})
    here = airflow_environment()
    configured = {key: str(value).lower() for key, value in demo.items() if key.startswith(("AIRFLOW__", PREFIX))}
    configured.pop("CLOUDSEG_LOCAL_STATE")
    same = {key: value for key, value in configured.items() if key not in DIFFERENT}
    assert {key: str(here[key]).lower() for key in same} == same
    assert configured.keys() >= DIFFERENT


def test_every_long_running_service_has_a_health_check() -> None:
    for name, service in services().items():
        assert ("healthcheck" in service) == (service.get("restart") == "unless-stopped")
        if name in SERVICES:
            assert service["healthcheck"]["test"][-2:] == ["healthy", name]
    assert set(SERVICES) == {"emulator", *AIRFLOW}


@pytest.mark.parametrize("runtime", ["local", "kubernetes"])
def test_settings_are_valid(runtime: str) -> None:
    environment = airflow_environment(CLOUDSEG_RUNTIME=runtime)
    settings = Settings.from_environment(environment)
    assert settings.runtime == runtime
    assert settings.pods.image == "cloudseg-inference:dev"
    assert settings.schedule is None
    assert settings.engine_options == ("--threads", "2", "--progress-seconds", "2")
    assert {key for key in environment if key.startswith(PREFIX)} <= set(variables())


def test_emulator_address_is_the_same_everywhere() -> None:
    address = services()["emulator"]["networks"]["default"]["ipv4_address"]
    (network,) = composefile()["networks"]["default"]["ipam"]["config"]
    assert address.startswith(network["subnet"].removesuffix("0/24"))
    assert int(address.rsplit(".", 1)[1]) < 128 == int(network["ip_range"].split(".")[3].partition("/")[0])
    configured = airflow_environment()
    assert configured["STORAGE_EMULATOR_HOST"] == f"http://{address}:4443"
    assert configured["CLOUDSEG_POD_ENV"] == f"STORAGE_EMULATOR_HOST=http://{address}:4443"


def test_every_variable_has_a_default_and_is_documented() -> None:
    assert set(defaults()) - used_variables() == {"COMPOSE_PROJECT_NAME"}
    assert used_variables() <= set(defaults())
    page = (REPOSITORY / "docs" / "compose.md").read_text("utf-8")
    assert [name for name in defaults() if f"`{name}`" not in page] == []
