"""The secrets of a setup under Docker: made once, at random, into volumes, and read by its services as files."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from cloudseg_local.airflow_server import ADMIN, VIEWER
from cloudseg_local.state import write_private

DATABASE_PASSWORD = "password"  # noqa: S105  names of files, as are those below
DATABASE_URL = "sql-alchemy-conn"
FERNET_KEY = "fernet-key"
SECRET_KEYS = ("api-secret-key", "jwt-secret")
LOGIN_PASSWORDS = {ADMIN: "password", VIEWER: "viewer-password"}
LOGIN_FILE = "passwords.json"

_PRIVATE = 0o400
# Postgres runs as another user than Airflow; it mounts this one file's volume alone.
_FOR_ANOTHER_USER = 0o444


def make_keys(database: Path, keys: Path, login: Path) -> list[Path]:
    """Generate missing secrets; existing ones are kept, so a restart does not change them.

    Each folder is a volume: services mount those that they need.

    Args:
        database: Gets the password of the database.
        keys: Gets what Airflow's processes share: the database's URL, the Fernet key, the keys of sessions and tokens.
        login: Gets the passwords of Airflow's administrator and of a viewer, in words and as Airflow reads them.

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
    # As a whole, since a setup that is older than one of its users has a file without it.
    if not (login / LOGIN_FILE).exists() or json.loads((login / LOGIN_FILE).read_text()) != passwords:
        write_private(login / LOGIN_FILE, passwords)
        written.append(login / LOGIN_FILE)
    return [path for path in written if path is not None]


def _write_once(path: Path, text: str, mode: int) -> Path | None:
    # Without a line's end, which Airflow would take for a part of the secret; whole or not at all.
    if path.exists():
        return None
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as stream:
        stream.write(text)
    draft.chmod(mode)
    draft.replace(path)
    return path
