"""A real registry: git, DVC and a DVC remote on disk."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.checkpoints import checkpoint

WEIGHTS_ONE = checkpoint(value=1.0)
WEIGHTS_TWO = checkpoint(value=2.0)
PARAMS = """\
model:
  architecture: unet
  arguments: {width: 2, depth: 1}
  in_channels: 3
  n_classes: 1
"""


@dataclass
class Registry:
    """A registry, and the means to damage it."""

    path: Path
    remote: Path
    folder: str = ""
    """Of the DVC project, in the git repository."""

    @property
    def project(self) -> Path:
        return self.path / self.folder

    def register(self, artifact: str, version: str) -> None:
        from gto.api import register

        register(str(self.path), artifact, "HEAD", version=version)

    def assign(self, artifact: str, version: str, stage: str) -> None:
        from gto.api import assign

        assign(str(self.path), artifact, stage, version=version)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, message: str, *tags: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        for tag in tags:
            self.git("tag", tag)
        return self.git("rev-parse", "HEAD")

    def track(self, name: str, data: bytes, *, push: bool = True) -> None:
        from dvc.repo import Repo

        (self.project / name).parent.mkdir(parents=True, exist_ok=True)
        (self.project / name).write_bytes(data)
        with Repo(str(self.project)) as repo:
            repo.add(str(self.project / name))
            if push:
                repo.push()

    def forget_cache(self) -> None:
        """Delete DVC's cache, so that the weights are only in the remote, as in a fresh clone."""
        subprocess.run(["rm", "-rf", str(self.project / ".dvc" / "cache")], check=True)

    def remote_objects(self) -> list[Path]:
        return sorted(path for path in self.remote.rglob("*") if path.is_file())


def make_registry(root: Path, folder: str = "") -> Registry:
    """A git repository with a DVC project, in a folder of it if one is given, and a remote on disk."""
    from dvc.repo import Repo

    registry = Registry(root / "registry", root / "remote", folder)
    registry.project.mkdir(parents=True)
    registry.remote.mkdir()
    registry.git("init", "--quiet", "--initial-branch=main")
    for key, value in {"user.name": "t", "user.email": "t@example.org"}.items():
        registry.git("config", key, value)
    repo = Repo.init(str(registry.project), subdir=bool(folder))
    with repo.config.edit() as config:
        config["remote"]["store"] = {"url": str(registry.remote)}
        config["core"]["remote"] = "store"
    repo.close()
    return registry


def _fill(registry: Registry) -> Registry:
    (registry.path / "params.yaml").write_text(PARAMS)
    registry.track("model.pt", WEIGHTS_ONE)
    registry.commit("one", "v1")
    registry.track("model.pt", WEIGHTS_TWO)
    registry.commit("two")
    registry.git("tag", "--annotate", "v2", "--message", "second")
    registry.git("branch", "dev", "v1")
    return registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Tags v1 and v2 (annotated) with different weights, on main; a branch `dev`. Shared by all tests: read-only."""
    return _fill(make_registry(tmp_path_factory.mktemp("registry")))


@pytest.fixture
def own_registry(tmp_path: Path) -> Registry:
    """A registry for one test, which may change and damage it."""
    return _fill(make_registry(tmp_path))


Opener = Callable[[Registry], str]


def as_path(registry: Registry) -> str:
    return str(registry.path)


def as_url(registry: Registry) -> str:
    return registry.path.as_uri()


def as_bare(registry: Registry) -> str:
    bare = registry.path.parent / "bare.git"
    if not bare.exists():
        registry.git("clone", "--quiet", "--bare", str(registry.path), str(bare))
    return str(bare)


@pytest.fixture(params=[as_path, as_url, as_bare])
def form(request: pytest.FixtureRequest) -> Opener:
    """A function that returns a registry's address, in each of its forms."""
    opener: Opener = request.param
    return opener


@pytest.fixture
def address(form: Opener, registry: Registry) -> str:
    """The shared registry's address in each form."""
    return form(registry)
