import json
import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet

from cloudseg_local.compose.keys import make_keys

FOLDERS = ("database", "keys", "login")


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    return tmp_path


def make(volumes: Path) -> list[Path]:
    return make_keys(*(volumes / name for name in FOLDERS))


def contents(volumes: Path) -> dict[str, str]:
    return {str(path.relative_to(volumes)): path.read_text() for path in volumes.rglob("*") if path.is_file()}


def test_every_service_finds_its_secrets(volumes: Path) -> None:
    assert len(make(volumes)) == 8
    found = contents(volumes)
    assert sorted(found) == [
        "database/password",
        "keys/api-secret-key",
        "keys/fernet-key",
        "keys/jwt-secret",
        "keys/sql-alchemy-conn",
        "login/password",
        "login/passwords.json",
        "login/viewer-password",
    ]
    url = urlsplit(found["keys/sql-alchemy-conn"])
    assert (url.scheme, url.username, url.hostname, url.path) == (
        "postgresql+psycopg2",
        "airflow",
        "postgres",
        "/airflow",
    )
    assert url.password == found["database/password"]
    assert json.loads(found["login/passwords.json"]) == {
        "admin": found["login/password"],
        "viewer": found["login/viewer-password"],
    }
    assert Fernet(found["keys/fernet-key"]).decrypt(Fernet(found["keys/fernet-key"]).encrypt(b"x")) == b"x"


def test_secrets_are_unique_and_without_line_breaks(volumes: Path) -> None:
    make(volumes)
    secrets = [text for name, text in contents(volumes).items() if not name.endswith((".json", "conn"))]
    assert len(set(secrets)) == len(secrets) == 6
    assert all(text == text.strip() and len(text) >= 20 for text in secrets)


def test_only_the_database_password_is_readable_by_others(volumes: Path) -> None:
    make(volumes)
    readable = {
        str(path.relative_to(volumes))
        for path in volumes.rglob("*")
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077
    }
    assert readable == {"database/password"}


def test_second_start_changes_nothing(volumes: Path) -> None:
    make(volumes)
    before = contents(volumes)
    assert make(volumes) == []
    assert contents(volumes) == before


def test_start_after_a_kill_keeps_the_existing_password(volumes: Path) -> None:
    make(volumes)
    password = contents(volumes)["database/password"]
    (volumes / "keys/sql-alchemy-conn").unlink()
    (volumes / "login/passwords.json").unlink()
    assert len(make(volumes)) == 2
    assert password in contents(volumes)["keys/sql-alchemy-conn"]
    assert contents(volumes)["login/password"] in contents(volumes)["login/passwords.json"]


def test_viewer_is_added_to_an_older_setup(volumes: Path) -> None:
    make(volumes)
    password = contents(volumes)["login/password"]
    (volumes / "login/viewer-password").unlink()
    (volumes / "login/passwords.json").write_text(json.dumps({"admin": password}))
    assert len(make(volumes)) == 2
    found = contents(volumes)
    logins = json.loads(found["login/passwords.json"])
    assert logins == {"admin": password, "viewer": found["login/viewer-password"]}


def test_two_setups_share_no_secret(tmp_path: Path) -> None:
    for setup in ("a", "b"):
        for name in FOLDERS:
            (tmp_path / setup / name).mkdir(parents=True)
        make(tmp_path / setup)
    assert not set(contents(tmp_path / "a").values()) & set(contents(tmp_path / "b").values())
