"""Credentials and options of a DVC remote from an Airflow connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cloudseg_ops.contracts.errors import SettingsError

# By the connection's type: DVC's options for its login, its password, and fields of its extra.
_FIELDS: Mapping[str, tuple[str | None, str | None, Mapping[str, str]]] = {
    "aws": (
        "access_key_id", "secret_access_key",
        {"endpoint_url": "endpointurl", "region_name": "region", "profile_name": "profile",
         "aws_session_token": "session_token"},
    ),
    "wasb": ("account_name", "account_key", {"tenant_id": "tenant_id"}),
    "google_cloud_platform": (None, None, {"project": "projectname", "key_path": "credentialpath"}),
    "ssh": ("user", "password", {"key_file": "keyfile", "private_key_passphrase": "passphrase"}),
    "http": ("user", "password", {}),
}  # fmt: skip
_ALIASES = {"sftp": "ssh", "s3": "aws", "azure": "wasb", "adls": "wasb", "https": "http", "generic": "http"}
# Fields of the extra that contain a file: DVC's option for its path.
_FILES = {"keyfile_dict": "credentialpath", "private_key": "keyfile"}
# Options of DVC that an extra may have under DVC's own names.
_OPTIONS = frozenset({
    "access_key_id", "account_key", "account_name", "allow_anonymous_login", "auth", "client_id", "client_secret",
    "configpath", "connection_string", "credentialpath", "custom_auth_header", "endpointurl", "keyfile", "passphrase",
    "password", "port", "profile", "projectname", "region", "sas_token", "secret_access_key", "session_token",
    "ssl_verify", "tenant_id", "token", "url", "use_ssl", "user", "version_aware", "worktree",
})  # fmt: skip


def remote_settings(conn_id: str) -> tuple[dict[str, str], dict[str, str]]:
    """Read a connection from Airflow, in a task.

    Args:
        conn_id: Its id.

    Returns:
        Options of the remote by DVC's names; and those that are files, with the files' contents.

    Raises:
        SettingsError: There is no such connection, or its type is not one of a remote's.
    """
    from airflow.providers.common.compat.sdk import AirflowNotFoundException
    from airflow.sdk import BaseHook

    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise SettingsError(
            f"Airflow has no connection {conn_id!r}, which CLOUDSEG_MODEL_REMOTE_CONN_ID names; create it, or correct "
            "the variable"
        ) from None
    return options_of(connection, conn_id)


def options_of(connection: Any, conn_id: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return a connection's login, password, port and extra as options of a remote, and its files.

    Args:
        connection: Airflow's connection.
        conn_id: Its id, for messages.

    Raises:
        SettingsError: Its type is not one of a remote's.
    """
    kind = _ALIASES.get(connection.conn_type, connection.conn_type)
    if kind not in _FIELDS:
        raise SettingsError(
            f"the Airflow connection {conn_id!r} of CLOUDSEG_MODEL_REMOTE_CONN_ID has the type "
            f"{connection.conn_type!r}; use one of {', '.join(sorted({*_FIELDS, *_ALIASES}))}"
        )
    login, password, names = _FIELDS[kind]
    # Older providers prefix the fields of an extra with the connection's type.
    extra = {name.rpartition("__")[2]: value for name, value in connection.extra_dejson.items()}
    found = {login: connection.login, password: connection.password}
    found["port"] = connection.port if kind == "ssh" else None
    found |= {name: value for name, value in extra.items() if name in _OPTIONS}
    found |= {option: extra[name] for name, option in names.items() if name in extra}
    files = {option: _text(extra[name]) for name, option in _FILES.items() if extra.get(name)}
    options = {name: str(value) for name, value in found.items() if name and value not in (None, "")}
    return {name: value for name, value in options.items() if name not in files}, files


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
