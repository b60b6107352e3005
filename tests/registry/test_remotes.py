"""Remotes: of DVC 2, not the default one, an output's own, over HTTP, in Cloud Storage, of a kind not installed."""

import base64
import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import ModelObjectMissingError, RegistryError, RemoteSupportMissingError
from cloudseg_ops.registry import RegistryOptions
from cloudseg_ops.registry._remote import hide_secrets
from cloudseg_ops.registry._repository import open_revision
from gcs_emulator import Emulator
from tests.registry.conftest import WEIGHTS_ONE, WEIGHTS_TWO, Registry, make_registry

MD5 = hashlib.md5(WEIGHTS_ONE).hexdigest()
LOGIN = "Basic " + base64.b64encode(b"reader:s3cr3t").decode()


def _download(registry: Registry, folder: Path, path: str = "model.pt", asked: str = "main", **options: Any) -> bytes:
    with open_revision(registry.path.as_uri(), asked, options=RegistryOptions(**options)) as opened:
        file = opened.find(path)
        opened.download(file, folder / "weights")
        assert hashlib.md5((folder / "weights").read_bytes()).hexdigest() == file.md5
    return (folder / "weights").read_bytes()


def _configure(registry: Registry, default: str, **remotes: dict[str, Any]) -> None:
    lines = ["[core]", f"    remote = {default}"] if default else []
    for name, options in remotes.items():
        lines += [f"['remote \"{name}\"']", *(f"    {key} = {value}" for key, value in options.items())]
    (registry.path / ".dvc" / "config").write_text("\n".join(lines) + "\n")


def _point_to(registry: Registry, path: str, data: bytes, extra: str = "") -> None:
    """Write the .dvc file of DVC 3, without running DVC."""
    md5 = hashlib.md5(data).hexdigest()
    name = Path(path).name
    (registry.path / f"{path}.dvc").write_text(
        f"outs:\n- md5: {md5}\n  size: {len(data)}\n  hash: md5\n  path: {name}\n{extra}"
    )


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Its weights are in `remote`, and nowhere else; the tests add remotes in branches."""
    registry = make_registry(tmp_path_factory.mktemp("remotes"))
    registry.track("model.pt", WEIGHTS_ONE)
    registry.commit("weights", "v1")
    registry.forget_cache()
    return registry


@pytest.fixture
def branch(registry: Registry) -> Iterator[Registry]:
    registry.git("checkout", "--quiet", "-B", "trial", "v1")
    yield registry
    registry.git("checkout", "--quiet", "--force", "main")


def test_a_registry_of_dvc_2(branch: Registry, tmp_path: Path) -> None:
    old = tmp_path / "old"
    stored = old / MD5[:2] / MD5[2:]
    stored.parent.mkdir(parents=True)
    stored.write_bytes(WEIGHTS_ONE)
    (branch.path / "model.pt.dvc").write_text(f"outs:\n- md5: {MD5}\n  size: {len(WEIGHTS_ONE)}\n  path: model.pt\n")
    _configure(branch, "old", old={"url": old})
    branch.commit("DVC 2")
    assert _download(branch, tmp_path, asked="trial") == WEIGHTS_ONE
    stored.unlink()
    with pytest.raises(ModelObjectMissingError, match=rf"md5 {MD5}.*'old' \({old}\); run `dvc push`"):
        _download(branch, tmp_path, asked="trial")


def test_another_remote_by_setting(branch: Registry, tmp_path: Path) -> None:
    _configure(branch, "empty", empty={"url": tmp_path / "empty"}, Store={"url": branch.remote})
    branch.commit("two remotes")
    with pytest.raises(ModelObjectMissingError, match=rf"the remote 'empty' \({tmp_path / 'empty'}\)"):
        _download(branch, tmp_path, asked="trial")
    assert _download(branch, tmp_path, asked="trial", remote="Store") == WEIGHTS_ONE
    with pytest.raises(RegistryError, match=r"'other'.*which has: empty, store\. Set CLOUDSEG_MODEL_REMOTE"):
        _download(branch, tmp_path, asked="trial", remote="other")


def test_no_default_remote_names_those_there_are(branch: Registry, tmp_path: Path) -> None:
    _configure(branch, "", store={"url": branch.remote})
    branch.commit("no default")
    with pytest.raises(ModelObjectMissingError, match="it has the remotes store: set CLOUDSEG_MODEL_REMOTE"):
        _download(branch, tmp_path, asked="trial")
    assert _download(branch, tmp_path, asked="trial", remote="store") == WEIGHTS_ONE


def test_an_output_s_own_remote_and_one_that_is_not_needed(branch: Registry, tmp_path: Path) -> None:
    _configure(branch, "s3", s3={"url": "s3://bucket/folder"}, store={"url": branch.remote})
    _point_to(branch, "model.pt", WEIGHTS_ONE, "  remote: store\n")
    _point_to(branch, "pictures.tar", b"on S3, whose package is not installed")
    branch.git("add", "--force", "pictures.tar.dvc")
    branch.commit("own remote")
    assert _download(branch, tmp_path, asked="trial") == WEIGHTS_ONE


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("s3://bucket/folder", "dvc[s3]"),
        ("azure://container/folder", "dvc[azure]"),
        ("ssh://user:s3cr3t@host/folder", "dvc[ssh]"),
        ("webdavs://host/folder", "dvc[webdav]"),
    ],
)
def test_a_missing_package_is_named_with_its_pip_line(branch: Registry, tmp_path: Path, url: str, line: str) -> None:
    _configure(branch, "far", far={"url": url})
    branch.commit("far")
    with pytest.raises(RemoteSupportMissingError) as raised:
        _download(branch, tmp_path, asked="trial")
    assert f"`pip install '{line}'`" in str(raised.value)
    assert f"'far' ({hide_secrets(url)})" in str(raised.value)
    assert "s3cr3t" not in str(raised.value)


class _Guarded(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def send_head(self) -> Any:
        if self.headers.get("Authorization") != LOGIN:
            self.send_error(401)
            return None
        return super().send_head()


@pytest.fixture
def website(registry: Registry) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Guarded, directory=str(registry.remote))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_http_with_a_password_from_outside(branch: Registry, website: str, tmp_path: Path) -> None:
    _configure(branch, "web", web={"url": website, "auth": "basic"})
    branch.commit("web")
    login = {"user": "reader", "password": "s3cr3t"}
    assert _download(branch, tmp_path, asked="trial", remote_options=login) == WEIGHTS_ONE
    with pytest.raises(RegistryError) as raised:
        _download(branch, tmp_path, asked="trial", remote_options={**login, "password": "wr0ng"})
    assert "401" in str(raised.value)
    assert "wr0ng" not in str(raised.value) + repr(RegistryOptions(remote_options={"password": "wr0ng"}))


def test_versions_in_a_remote_that_is_not_version_aware(branch: Registry, tmp_path: Path) -> None:
    _configure(branch, "store", store={"url": branch.remote})
    versions = "  cloud:\n    store:\n      etag: abc\n      version_id: '1'\n"
    _point_to(branch, "model.pt", WEIGHTS_TWO, versions)
    branch.commit("cloud versions")
    with pytest.raises(ModelObjectMissingError, match="set CLOUDSEG_MODEL_REMOTE_OPTIONS=version_aware=true"):
        _download(branch, tmp_path, asked="trial")


def test_options_that_dvc_does_not_know_are_refused(branch: Registry, website: str, tmp_path: Path) -> None:
    _configure(branch, "web", web={"url": website})
    branch.commit("web")
    with pytest.raises(RegistryError, match=r"profil.*CLOUDSEG_MODEL_REMOTE_OPTIONS"):
        _download(branch, tmp_path, asked="trial", remote_options={"profil": "ml"})


def test_cloud_storage_at_another_endpoint(
    branch: Registry, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    client = emulator.client()
    bucket = client.create_bucket("dvc-remote")
    md5 = hashlib.md5(WEIGHTS_TWO).hexdigest()
    bucket.blob(f"store/files/md5/{md5[:2]}/{md5[2:]}").upload_from_string(WEIGHTS_TWO)
    _configure(branch, "gcs", gcs={"url": "gs://dvc-remote/store"})
    _point_to(branch, "model.pt", WEIGHTS_TWO)
    branch.commit("gs")
    options = {"endpointurl": emulator.url, "allow_anonymous_login": "true"}
    assert _download(branch, tmp_path, asked="trial", remote_options=options) == WEIGHTS_TWO


def test_secrets_in_addresses_are_hidden() -> None:
    told = hide_secrets("https://me:pw@host/a and s3://k@b?X-Amz-Signature=abc&x=1 key=K3Y", ("K3Y",))
    assert told == "https://host/a and s3://b?X-Amz-Signature=***&x=1 key=***"
