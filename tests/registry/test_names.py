import tempfile
from pathlib import Path

import pytest

from cloudseg_ops.contracts.errors import RepositoryUnreachableError
from cloudseg_ops.registry import list_revisions, without_credentials
from tests.registry.conftest import Opener, Registry


def test_tags_and_branches_are_listed(registry: Registry, address: str) -> None:
    assert list_revisions(address) == ["v2", "v1", "main", "dev"]


def test_invalid_revisions_are_not_listed(own_registry: Registry, form: Opener) -> None:
    for name in ("größe", "v3!", "v3"):
        own_registry.git("tag", name, "v2^{commit}")
    own_registry.git("branch", "ast/größe")
    own_registry.git("branch", "ast/zwei")
    assert list_revisions(form(own_registry)) == ["v3", "v2", "v1", "main", "ast/zwei", "dev"]


def test_missing_repository_raises(tmp_path: Path) -> None:
    with pytest.raises(RepositoryUnreachableError, match="cannot be listed"):
        list_revisions(str(tmp_path / "nowhere"))


def test_listing_error_has_no_credentials() -> None:
    with pytest.raises(RepositoryUnreachableError) as raised:
        list_revisions("http://user:secret@127.0.0.1:1/models.git")
    assert "http://127.0.0.1:1/models.git" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_listing_leaves_no_temporary_files(registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    list_revisions(registry.path.as_uri())
    assert list(tmp_path.iterdir()) == []


def test_the_newest_version_comes_first(own_registry: Registry) -> None:
    own_registry.git("tag", "v10", "v1")
    assert list_revisions(str(own_registry.path))[:3] == ["v10", "v2", "v1"]


def test_credentials_are_removed_from_addresses() -> None:
    assert without_credentials("https://me:secret@git.example/m.git") == "https://git.example/m.git"
    assert without_credentials("git@git.example:m.git") == "git@git.example:m.git"
    assert without_credentials("ssh://git:secret@git.example:22/m.git") == "ssh://git@git.example:22/m.git"
    assert without_credentials("ssh://git@git.example/m.git") == "ssh://git@git.example/m.git"
    assert without_credentials("/srv/m") == "/srv/m"
