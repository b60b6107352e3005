"""`pull_model` refuses programs that could run code, before anything is staged."""

import pytest

from cloudseg_ops.contracts.errors import UnsafeProgramError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.registry import pull_model
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.registry.conftest import Registry
from tests.support.archives import plain_program

NMS = "torch.ops.torchvision.nms.default"


def _pull(store: Store, layout: RunLayout, registry: Registry, *operators: str) -> ModelRef:
    return pull_model(
        store, layout, repository=str(registry.path), revision="v3", path="model.pt2", allowed_operators=operators
    )


@pytest.fixture
def programs(own_registry: Registry) -> Registry:
    """A registry whose revision v3 has a program with an operator of another library."""
    (own_registry.path / "params.yaml").write_text("model: {architecture: exported, in_channels: 3, n_classes: 1}\n")
    own_registry.track("model.pt2", plain_program(NMS))
    own_registry.commit("a program", "v3")
    return own_registry


def test_an_unsafe_program_is_not_staged(store: Store, layout: RunLayout, programs: Registry) -> None:
    with pytest.raises(UnsafeProgramError, match=rf"^'model\.pt2' of .* at v3 .* was not opened.*{NMS}"):
        _pull(store, layout, programs, "torchvision::roi_align")
    assert list(store.list_objects(layout.staging / "models/")) == []
    assert store.stat(layout.model) is None


def test_operators_that_a_setting_allows_are_part_of_the_reference(
    store: Store, layout: RunLayout, buckets: Buckets, programs: Registry
) -> None:
    assert _pull(store, layout, programs, "torchvision::nms").allowed_operators == ("torchvision::nms",)
    written = ModelRef.parse(store.read(layout.model), "model.json")
    assert written.allowed_operators == ("torchvision::nms",)
    # A program that is staged already is checked again, with the settings of this run.
    later = buckets.layout("later")
    with pytest.raises(UnsafeProgramError, match="does not name torchvision::nms"):
        _pull(store, later, programs)
    assert store.stat(later.model) is None
