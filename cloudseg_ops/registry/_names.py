"""The address of a registry."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


def without_credentials(repository: str) -> str:
    """Return a repository's address without user and password, so that it can be shown.

    >>> without_credentials("https://user:token@git.example/models.git")
    'https://git.example/models.git'
    """
    parts = urlsplit(repository)
    if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
        return repository
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def clone_address(repository: str) -> str:
    """Return a repository's address in the form that DVC accepts.

    DVC opens a path in place, which requires a working copy; as a file:// URL, a bare repository is cloned.
    """
    path = Path(repository)
    return path.resolve().as_uri() if (path / "HEAD").is_file() and (path / "objects").is_dir() else repository
