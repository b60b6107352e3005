"""Artifacts, versions and stages, registered by GTO: what a run asks for, compared with what dvc says."""

import hashlib
from pathlib import Path

import pytest

from cloudseg_ops.contracts.errors import ModelPathError, RegistryError, RevisionRefusedError, UnknownRevisionError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.registry import RevisionPolicy, list_revisions, pull_model
from cloudseg_ops.registry._pull import admit
from cloudseg_ops.registry._repository import open_revision
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.registry.conftest import PARAMS, WEIGHTS_ONE, WEIGHTS_TWO, Opener, Registry, as_path, as_url, make_registry

SKY = "ml/sky:clouds"
DVC_YAML = """\
artifacts:
  clouds:
    path: models/clouds.pt
    type: model
  fog:
    path: models/clouds.pt
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A monorepo with the DVC project ml/sky. Of `clouds`, v1.1.0 is prod, after v1.0.0; v1.2.0 was revoked."""
    from gto.api import deprecate, deregister, unassign

    registry = make_registry(tmp_path_factory.mktemp("shelf"), "ml/sky")
    (registry.project / "params.yaml").write_text(PARAMS)
    (registry.project / "dvc.yaml").write_text(DVC_YAML)
    for weights, version in ((WEIGHTS_ONE, "v1.0.0"), (WEIGHTS_TWO, "v1.1.0")):
        registry.track("models/clouds.pt", weights)
        registry.commit(version)
        registry.register(SKY, version)
        registry.assign(SKY, version, "prod")
    registry.assign(SKY, "v1.0.0", "dev")
    registry.commit("worse")
    registry.register(SKY, "v1.2.0")
    registry.assign(SKY, "v1.2.0", "canary")
    unassign(str(registry.path), SKY, stage="dev", version="v1.0.0")
    deregister(str(registry.path), SKY, version="v1.2.0")
    registry.register("ml/sky:fog", "v0.1.0")
    deprecate(str(registry.path), "ml/sky:fog", simple=False)
    registry.git("tag", "plain")
    return registry


@pytest.fixture(params=[as_path, as_url])
def where(request: pytest.FixtureRequest, shelf: Registry) -> str:
    opener: Opener = request.param
    return opener(shelf)


@pytest.mark.parametrize(
    ("asked", "version", "stage"),
    [
        ("ml/sky:clouds#prod", None, "prod"),
        ("ml/sky=clouds@v1.0.0", "v1.0.0", None),
        ("ml/sky/dvc.yaml:clouds@v1.1.0", "v1.1.0", None),
    ],
)
def test_a_model_is_what_dvc_says(shelf: Registry, where: str, asked: str, version: str, stage: str) -> None:
    from dvc.api import artifacts_show

    told = artifacts_show(SKY, version=version, stage=stage, repo=where)
    with open_revision(where, asked) as opened:
        assert {"rev": opened.commit, "path": opened.weights_path("not/this.pt")} == told
        assert (
            opened.find(told["path"]).md5 == hashlib.md5(WEIGHTS_TWO if "0.0" not in asked else WEIGHTS_ONE).hexdigest()
        )


@pytest.mark.parametrize(
    ("asked", "tag"),
    [
        ("ml/sky:clouds", "ml/sky=clouds@v1.1.0"),
        ("ml/sky:clouds@latest", "ml/sky=clouds@v1.1.0"),
        ("ml/sky:clouds#prod#1", "ml/sky=clouds@v1.0.0"),
        ("ml/sky=clouds#prod#2", "ml/sky=clouds@v1.1.0"),
        ("ml/sky:clouds#dev#3", "ml/sky=clouds@v1.0.0"),
    ],
)
def test_newest_versions_and_single_assignments(shelf: Registry, asked: str, tag: str) -> None:
    with open_revision(str(shelf.path), asked) as opened:
        assert opened.commit == shelf.git("rev-parse", f"{tag}^{{commit}}")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("ml/sky:clouds@v9.0.0", "has no version 'v9.0.0'"),
        ("ml/sky:clouds@v1.2.0", "only as revoked, by the tag ml/sky=clouds@v1.2.0!"),
        ("ml/sky:clouds#canary", "has no version in the stage 'canary'"),
        ("ml/sky:clouds#canary#4", "only as revoked"),
        ("ml/sky:clouds#dev", "has no version in the stage 'dev'"),
        ("ml/sky:clouds#prod#9", "was never assigned to 'prod' as number 9"),
        ("ml/sky:fog", "is deprecated, by the tag ml/sky=fog@deprecated#"),
    ],
)
def test_what_is_unknown_or_revoked_is_refused(shelf: Registry, asked: str, told: str) -> None:
    with pytest.raises(UnknownRevisionError) as raised, open_revision(str(shelf.path), asked):
        pass
    assert told in str(raised.value)
    if "fog" not in asked:
        assert "it has ml/sky:clouds#prod, ml/sky:clouds@v1.1.0, ml/sky:clouds@v1.0.0. Use" in str(raised.value)


def test_unknown_artifact_names_what_exists(shelf: Registry) -> None:
    with pytest.raises(UnknownRevisionError) as raised, open_revision(str(shelf.path), "ml/sea:clouds#prod"):
        pass
    assert "no version of an artifact 'ml/sea:clouds' is registered" in str(raised.value)
    assert "its artifacts have ml/sky:clouds#prod, ml/sky:clouds@v1.1.0" in str(raised.value)
    assert "its tags are plain" in str(raised.value)


def test_the_form_offers_stages_then_versions_then_tags_then_branches(where: str) -> None:
    offered = ["ml/sky:clouds#prod", "ml/sky:clouds@v1.1.0", "ml/sky:clouds@v1.0.0", "plain", "main"]
    assert list_revisions(where) == offered


@pytest.mark.parametrize("asked", ["ml/sky/dvc.yaml:clouds", "ml/sky:clouds@latest", "ml/sky=clouds#prod#2", "plain"])
def test_artifacts_are_tags_to_the_policy(shelf: Registry, asked: str) -> None:
    with open_revision(str(shelf.path), asked) as opened:
        admit(opened, RevisionPolicy("tags"))
    with open_revision(str(shelf.path), "main") as opened, pytest.raises(RevisionRefusedError):
        admit(opened, RevisionPolicy("tags"))


def test_a_path_tells_the_project(shelf: Registry, where: str, tmp_path: Path) -> None:
    with open_revision(where, "plain") as opened:
        file = opened.find("ml/sky/models/clouds.pt")
        opened.download(file, tmp_path / "weights")
        assert (tmp_path / "weights").read_bytes() == WEIGHTS_TWO
        assert opened.read_section(file.path).where.startswith("ml/sky/params.yaml of ")


def test_a_path_outside_of_the_project_names_it(shelf: Registry, where: str) -> None:
    with open_revision(where, "plain") as opened, pytest.raises(ModelPathError, match="CLOUDSEG_MODEL_PATH") as raised:
        opened.find(opened.weights_path("model.pt"))
    assert "the repository has: ml/sky." in str(raised.value)
    assert "ml/sky/model.pt" in str(raised.value)


def test_a_run_keeps_its_model_when_the_stage_moves(
    store: Store, buckets: Buckets, layout: RunLayout, tmp_path: Path
) -> None:
    registry = make_registry(tmp_path)
    (registry.path / "params.yaml").write_text(PARAMS)
    (registry.path / "dvc.yaml").write_text("artifacts: {clouds: {path: clouds.pt}}\n")

    def release(weights: bytes, version: str) -> None:
        registry.track("clouds.pt", weights)
        registry.commit(version)
        registry.register("clouds", version)
        registry.assign("clouds", version, "prod")

    def pull(layout: RunLayout, asked: str = "clouds#prod") -> tuple[str, str, str]:
        model = pull_model(store, layout, repository=str(registry.path), revision=asked, path="model.pt")
        return model.revision, model.md5, model.commit

    release(WEIGHTS_ONE, "v1.0.0")
    first = pull(layout)
    (staged,) = store.list_objects(layout.staging / "models/")
    assert first[:2] == ("clouds#prod", hashlib.md5(WEIGHTS_ONE).hexdigest())
    release(WEIGHTS_TWO, "v2.0.0")
    store.write(layout.staging / staged.name, b"damaged")
    assert pull(layout) == first
    assert pull(buckets.layout("later"))[1] == hashlib.md5(WEIGHTS_TWO).hexdigest()


def test_a_name_of_git_s_hides_an_artifact(own_registry: Registry) -> None:
    (own_registry.path / "dvc.yaml").write_text("artifacts: {dev: {path: model.pt}}\n")
    commit = own_registry.commit("artifact")
    own_registry.register("dev", "v1.0.0")
    for asked, expected in {"dev": own_registry.git("rev-parse", "v1"), "dev@latest": commit}.items():
        with open_revision(str(own_registry.path), asked) as opened:
            assert opened.commit == expected
            assert (opened.artifact is None) == (asked == "dev")


def test_tags_that_only_look_like_gto_s_are_tags(own_registry: Registry) -> None:
    own_registry.git("tag", "light@v1.0.0", "v1")
    own_registry.git("tag", "light#prod", "v1")
    for asked in ("light@v1.0.0", "light#prod"):
        with open_revision(own_registry.path.as_uri(), asked) as opened:
            assert (opened.commit, opened.artifact) == (own_registry.git("rev-parse", "v1"), None)


def test_tags_that_gto_cannot_read_do_not_stop_other_revisions(own_registry: Registry) -> None:
    own_registry.git("tag", "--annotate", "odd@v1.0.0!", "--message", "x", "v1^{commit}")
    own_registry.git("tag", "--annotate", "odd#prod!#1", "--message", "x", "v2^{commit}")
    with open_revision(str(own_registry.path), "v1") as opened:
        assert opened.commit == own_registry.git("rev-parse", "v1")
    with pytest.raises(RegistryError) as raised, open_revision(str(own_registry.path), "odd@v1.0.0"):
        pass
    assert "odd" in str(raised.value)


def test_a_version_without_an_entry_in_dvc_yaml_uses_the_path_of_the_settings(own_registry: Registry) -> None:
    own_registry.register("clouds", "v1.0.0")
    with open_revision(str(own_registry.path), "clouds@v1.0.0") as opened:
        assert opened.find(opened.weights_path("model.pt")).md5 == hashlib.md5(WEIGHTS_TWO).hexdigest()
