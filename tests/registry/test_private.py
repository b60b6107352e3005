"""A private registry: git's configuration has the token, as in docs/operations.md."""

import base64
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from cloudseg_ops.contracts.errors import RepositoryUnreachableError
from cloudseg_ops.registry._repository import open_revision
from tests.registry.conftest import Registry

RUNBOOK = Path(__file__).parents[2] / "docs" / "operations.md"
LOGIN = "Basic " + base64.b64encode(b"token:secret").decode()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Private:
    """A git server that answers 401 without the login."""

    url: str
    host: str


@pytest.fixture
def private(registry: Registry) -> Iterator[Private]:
    web, server, repo = (import_module(f"dulwich.{name}") for name in ("web", "server", "repo"))  # untyped
    serve = web.make_wsgi_chain(server.DictBackend({"/models": repo.Repo(str(registry.path))}))

    def guarded(environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("HTTP_AUTHORIZATION") != LOGIN:
            start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="models"')])
            return [b""]
        return serve(environ, start_response)

    with make_server("127.0.0.1", 0, guarded, handler_class=_Quiet) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        host = f"http://127.0.0.1:{listening.server_port}"
        try:
            yield Private(f"{host}/models", host)
        finally:
            listening.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_other_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))


def _configure(tmp_path: Path, host: str, token: str) -> None:
    (text,) = re.findall(r"<<'CONFIG'\n(.*?\n)CONFIG\n", RUNBOOK.read_text(encoding="utf-8"), re.DOTALL)
    config = text.replace("https://git.example.com", host).replace("THE-TOKEN", token)
    (tmp_path / "gitconfig").write_text(config)


def test_documented_git_configuration_authenticates(registry: Registry, private: Private, tmp_path: Path) -> None:
    _configure(tmp_path, private.host, "secret")
    with open_revision(private.url, "v1") as opened:
        assert opened.commit == registry.git("rev-parse", "v1")


@pytest.mark.parametrize("token", [None, "expired"])
def test_registry_is_unreachable_without_a_valid_token(private: Private, tmp_path: Path, token: str | None) -> None:
    if token:
        _configure(tmp_path, private.host, token)
    with pytest.raises(RepositoryUnreachableError) as raised, open_revision(private.url, "v1"):
        pass
    assert token is None or token not in str(raised.value)
