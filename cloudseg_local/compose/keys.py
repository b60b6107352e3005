"""Generates the secrets of the Docker setup once, as files in volumes that the services mount."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from cloudseg_local.airflow_server import ADMIN, VIEWER
from cloudseg_local.state import write_private

DATABASE_PASSWORD = "password"  # noqa: S105  a file name, like those below
DATABASE_URL = "sql-alchemy-conn"
FERNET_KEY = "fernet-key"
SECRET_KEYS = ("api-secret-key", "jwt-secret")
LOGIN_PASSWORDS = {ADMIN: "password", VIEWER: "viewer-password"}
LOGIN_FILE = "passwords.json"

_PRIVATE = 0o400
# Postgres runs as a different user than Airflow, and mounts only the volume of this file.
_FOR_ANOTHER_USER = 0o444


def make_keys(database: Path, keys: Path, login: Path) -> list[Path]:
    """Generate the secrets that do not exist yet, so that a restart changes none of them.

    Each folder is a volume; services mount those that they need.

    Args:
        database: Folder for the database password.
        keys: Folder for the secrets that Airflow's processes share: database URL, Fernet key, session and token keys.
        login: Folder for the passwords of Airflow's administrator and viewer, as text files and as Airflow's JSON file.

    Returns:
        The files that were written.
    """
    written = [_write_once(database / DATABASE_PASSWORD, secrets.token_urlsafe(24), _FOR_ANOTHER_USER)]
    password = (database / DATABASE_PASSWORD).read_text()
    written.append(
        _write_once(keys / DATABASE_URL, f"postgresql+psycopg2://airflow:{password}@postgres/airflow", _PRIVATE)
    )
    written.append(_write_once(keys / FERNET_KEY, base64.urlsafe_b64encode(os.urandom(32)).decode(), _PRIVATE))
    written += [_write_once(keys / name, secrets.token_urlsafe(32), _PRIVATE) for name in SECRET_KEYS]
    written += [_write_once(login / name, secrets.token_urlsafe(16), _PRIVATE) for name in LOGIN_PASSWORDS.values()]
    passwords = {user: (login / name).read_text() for user, name in LOGIN_PASSWORDS.items()}
    # Rewritten as a whole: the file of an older setup may lack a user that was added since.
    if not (login / LOGIN_FILE).exists() or json.loads((login / LOGIN_FILE).read_text()) != passwords:
        write_private(login / LOGIN_FILE, passwords)
        written.append(login / LOGIN_FILE)
    return [path for path in written if path is not None]


def _write_once(path: Path, text: str, mode: int) -> Path | None:
    # No trailing newline, which Airflow would read as part of the secret. The rename makes the write atomic.
    if path.exists():
        return None
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as stream:
        stream.write(text)
    draft.chmod(mode)
    draft.replace(path)
    return path
