"""`pull_model` refuses weights that cannot be the model's, before anything is staged."""

import hashlib
import logging
import math
import shutil

import pytest

from cloudseg_ops.contracts.errors import ModelLoadError, ModelParamsError, StorageError, WeightsFileError
from cloudseg_ops.contracts.run_layout import RunLayout, staged_weights
from cloudseg_ops.operators.failures import remedy
from cloudseg_ops.registry import pull_model
from cloudseg_ops.registry._pull import read_model
from cloudseg_ops.registry._staged import open_staged
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.registry.conftest import WEIGHTS_ONE, Registry
from tests.support.checkpoints import ORDERED_DICT, TINY, archive, checkpoint, number, state_dict, text


def _pull(store: Store, layout: RunLayout, registry: Registry, revision: str) -> None:
    pull_model(store, layout, repository=str(registry.path), revision=revision, path="model.pt")


BROKEN = {
    b"<!doctype html><title>Sign in</title>": (WeightsFileError, "is an HTML page"),
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n": (WeightsFileError, "is a Git LFS pointer"),
    checkpoint({name: shape for name, shape in TINY.items() if name != "head.bias"}): (ModelLoadError, "head.bias"),
}


@pytest.mark.parametrize(("data", "error"), BROKEN.items(), ids=["a page", "a pointer", "a tensor is missing"])
def test_a_file_that_cannot_be_the_model_is_not_staged(
    store: Store, layout: RunLayout, own_registry: Registry, data: bytes, error: tuple[type[ModelLoadError], str]
) -> None:
    own_registry.track("model.pt", data)
    commit = own_registry.commit("broken", "v3")
    kind, told = error
    with pytest.raises(kind) as raised:
        _pull(store, layout, own_registry, "v3")
    assert str(raised.value).startswith(f"'model.pt' of {own_registry.path} at v3 (commit {commit[:12]}) ")
    assert told in str(raised.value)
    assert not remedy(raised.value).retry
    assert list(store.list_objects(layout.staging / "models/")) == []
    assert store.stat(layout.model) is None


def test_staged_weights_are_checked_with_the_parameters_of_the_revision(
    store: Store, layout: RunLayout, buckets: Buckets, own_registry: Registry
) -> None:
    _pull(store, layout, own_registry, "v2")
    params = own_registry.path / "params.yaml"
    params.write_text(params.read_text().replace("width: 2", "width: 8"))
    own_registry.commit("wider", "v3")
    later = buckets.layout("later")
    with pytest.raises(ModelLoadError, match=r"the file fits .* arguments \{width: 2, depth: 1\}"):
        _pull(store, later, own_registry, "v3")
    assert store.stat(later.model) is None


def test_a_staged_file_is_read_in_parts(store: Store, layout: RunLayout) -> None:
    uri = layout.staging / "models/large.pt"
    info = store.write(uri, b"\0" * 300_000 + WEIGHTS_ONE)
    with open_staged(store, uri, info) as file:
        assert file.seek(300_000) == 300_000
        assert file.read(4) == b"PK\x03\x04"
        file.seek(-4, 2)
        assert file.read() == WEIGHTS_ONE[-4:]
        assert file.read() == b""
        store.write(uri, b"another generation")
        file.seek(0)
        with pytest.raises(StorageError):
            file.read(4)


def test_staged_weights_of_an_earlier_version_are_checked_too(
    store: Store, layout: RunLayout, own_registry: Registry
) -> None:
    own_registry.track("model.pt", b"no weights")
    own_registry.commit("broken", "v3")
    md5 = hashlib.md5(b"no weights").hexdigest()
    store.write(staged_weights(layout.staging, md5, ".pt"), b"no weights")
    with pytest.raises(WeightsFileError, match="is a text file"):
        _pull(store, layout, own_registry, "v3")


def test_the_section_of_a_training_and_a_checkpoint_of_it(
    store: Store, layout: RunLayout, own_registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    other = ORDERED_DICT + b"(" + text("epoch") + number(7) + text("best") + number(1) + b"u"
    entries = ORDERED_DICT + b"(" + text("trainer") + other + text("model") + state_dict(TINY) + b"u"
    sizes = {f"data/{place}": bytes(max(8, 4 * math.prod(shape))) for place, shape in enumerate(TINY.values())}
    own_registry.track("model.pt", archive(entries, sizes))
    (own_registry.path / "params.yaml").write_text("model: {n_classes: 1, in_channels: 3, lr: 0.1, epochs: 9}\n")
    own_registry.commit("as the training wrote it", "v3")
    _pull(store, layout, own_registry, "v3")
    model = read_model(store, layout)
    assert model is not None
    assert (model.params.architecture, model.params.arguments) == ("unet", {"width": 2, "depth": 1})
    assert [record.getMessage() for record in caplog.records if record.name.startswith("cloudseg_ops")] == [
        "ignored keys of the `model` section, which are not parameters of a model: lr, epochs",
        "read off the weights: architecture unet, arguments {'width': 2, 'depth': 1}",
        "the weights are the entry 'model'; not used: trainer",
    ]


@pytest.mark.parametrize(
    ("section", "told"), [("n_class: 1", "did you mean `n_classes`"), ("n_classes: 0", "n_classes: Input should be")]
)
def test_what_needs_no_weights_fails_before_they_are_downloaded(
    store: Store, layout: RunLayout, own_registry: Registry, section: str, told: str
) -> None:
    (own_registry.path / "params.yaml").write_text(f"model: {{{section}}}\n")
    own_registry.commit("misspelled", "v3")
    own_registry.forget_cache()
    shutil.rmtree(own_registry.remote / "files")
    with pytest.raises(ModelParamsError, match=told):
        _pull(store, layout, own_registry, "v3")
