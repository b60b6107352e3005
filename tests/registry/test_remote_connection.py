"""Options of a remote from an Airflow connection, and what the operator makes of them."""

import json
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.operators.pull_model import DVCPullModelOperator
from cloudseg_ops.registry._remote import secrets_of
from cloudseg_ops.registry.remote_connection import remote_settings

KEY = {"type": "service_account", "private_key": "PEM"}
CASES: dict[str, tuple[dict[str, Any], dict[str, str], dict[str, str]]] = {
    "aws": (
        {"conn_type": "aws", "login": "ID", "password": "KEY", "extra": {"endpoint_url": "https://minio", "role": "x"}},
        {"access_key_id": "ID", "secret_access_key": "KEY", "endpointurl": "https://minio"},
        {},
    ),
    "aws profile": (
        {"conn_type": "aws", "extra": {"profile_name": "ml", "version_aware": True}},
        {"profile": "ml", "version_aware": "True"},
        {},
    ),
    "azure": (
        {"conn_type": "wasb", "login": "account", "extra": {"extra__wasb__connection_string": "Endpoint=x"}},
        {"account_name": "account", "connection_string": "Endpoint=x"},
        {},
    ),
    "google": (
        {"conn_type": "google_cloud_platform", "extra": {"project": "p", "keyfile_dict": KEY, "key_path": "/old"}},
        {"projectname": "p"},
        {"credentialpath": json.dumps(KEY)},
    ),
    "ssh": (
        {"conn_type": "sftp", "login": "me", "port": 22, "extra": {"private_key": "P", "private_key_passphrase": "W"}},
        {"user": "me", "port": "22", "passphrase": "W"},
        {"keyfile": "P"},
    ),
    "http": (
        {"conn_type": "http", "login": "me", "password": "W", "port": 443, "extra": {"auth": "basic"}},
        {"user": "me", "password": "W", "auth": "basic"},
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_connections_of_each_type(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    connection, options, files = CASES[case]
    monkeypatch.setenv("AIRFLOW_CONN_MODELS", json.dumps(connection))
    assert remote_settings("models") == (options, files)


def test_other_connections_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MODELS", json.dumps({"conn_type": "mysql", "password": "W0RD"}))
    with pytest.raises(SettingsError, match=r"has the type 'mysql'; use one of .*aws") as raised:
        remote_settings("models")
    assert "W0RD" not in str(raised.value)
    with pytest.raises(SettingsError, match="no connection 'absent'"):
        remote_settings("absent")


def test_the_operator_prefers_its_own_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MODELS", json.dumps(CASES["aws"][0]))
    operator = DVCPullModelOperator(
        task_id="pull_model",
        repository="https://git.example/models.git",
        revision="clouds#prod",
        path="model.pt",
        params_section="params.yaml:net",
        remote="minio",
        remote_options={"endpointurl": "https://other", "region": "eu"},
        remote_conn_id="models",
        input_bucket="aaa",
        output_bucket="bbb",
        staging_bucket="ccc",
    )
    options = operator._options()
    assert (options.params, options.remote) == ("params.yaml:net", "minio")
    assert options.remote_options == {
        "access_key_id": "ID", "secret_access_key": "KEY", "endpointurl": "https://other", "region": "eu",
    }  # fmt: skip
    assert secrets_of({"remote": {"x": {"password": "W0RD"}}}, options) == ("W0RD", "KEY", "ID")
    assert "KEY" not in repr(options)
