import hashlib
import json

import pytest

from cloudseg_ops.contracts.errors import CorruptModelError
from cloudseg_ops.contracts.model_ref import model_digest
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.registry import pull_model
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.registry.conftest import WEIGHTS_ONE, WEIGHTS_TWO, Registry


def _pull(store: Store, layout: RunLayout, registry: Registry, revision: str = "v1"):  # type: ignore[no-untyped-def]
    return pull_model(store, layout, repository=str(registry.path), revision=revision, path="model.pt")


def test_pull_stages_the_weights_and_writes_the_reference(
    store: Store, layout: RunLayout, registry: Registry, address: str
) -> None:
    model = pull_model(store, layout, repository=address, revision="v2", path="model.pt")
    assert model.commit == registry.git("rev-parse", "v2^{commit}")
    assert model.md5 == hashlib.md5(WEIGHTS_TWO).hexdigest()
    assert model.digest == model_digest(model.md5, model.params)
    assert store.read(GcsUri.parse(model.uri)) == WEIGHTS_TWO
    assert json.loads(store.read(layout.model)) == model.to_json()


def test_a_second_run_with_the_same_model_copies_nothing(
    store: Store, layout: RunLayout, own_registry: Registry, buckets: Buckets
) -> None:
    first = _pull(store, layout, own_registry)
    before = store.stat(GcsUri.parse(first.uri))
    own_registry.forget_cache()
    for path in own_registry.remote_objects():
        path.unlink()  # nothing is left to copy from
    second = _pull(store, buckets.layout("another-run"), own_registry)
    assert second == first
    assert store.stat(GcsUri.parse(first.uri)) == before


def test_a_run_keeps_its_commit_when_the_tag_moves(
    store: Store, layout: RunLayout, own_registry: Registry, buckets: Buckets
) -> None:
    first = _pull(store, layout, own_registry)
    own_registry.git("tag", "--force", "v1", "v2^{commit}")
    assert _pull(store, layout, own_registry) == first
    assert _pull(store, buckets.layout("next-run"), own_registry).commit != first.commit


def test_corrupt_object_in_the_remote_is_rejected(store: Store, layout: RunLayout, own_registry: Registry) -> None:
    own_registry.forget_cache()
    for path in own_registry.remote_objects():
        path.chmod(0o644)
        path.write_bytes(b"something else")
    with pytest.raises(CorruptModelError, match="DVC recorded md5"):
        _pull(store, layout, own_registry)
    assert list(store.list_objects(layout.staging / "models/")) == []
    assert store.stat(layout.model) is None


def test_a_corrupt_staged_copy_is_replaced(store: Store, layout: RunLayout, registry: Registry) -> None:
    uri = GcsUri.parse(_pull(store, layout, registry).uri)
    store.write(uri, b"half")
    _pull(store, layout, registry)
    assert store.read(uri) == WEIGHTS_ONE


def test_the_same_weights_with_other_params_are_another_model(
    store: Store, buckets: Buckets, own_registry: Registry
) -> None:
    params = own_registry.path / "params.yaml"
    params.write_text(params.read_text() + "  max_side: 64\n")
    own_registry.commit("scaled", "v2-small")
    plain = _pull(store, buckets.layout("a"), own_registry, "v2")
    small = _pull(store, buckets.layout("b"), own_registry, "v2-small")
    assert (plain.md5, plain.uri) == (small.md5, small.uri)
    assert plain.digest != small.digest
