"""Where the `model` section comes from: the nearest params file, another by setting, the artifact's `meta`."""

import pytest

from cloudseg_ops.contracts.errors import ModelParamsError
from cloudseg_ops.registry import RegistryOptions
from cloudseg_ops.registry._repository import open_revision
from tests.registry.conftest import WEIGHTS_ONE, Registry, make_registry

DVC_YAML = """\
artifacts:
  plain: {path: model.pt}
  direct: {path: model.pt, meta: {n_classes: 2, in_channels: 3, author: me}}
  nested: {path: model.pt, meta: {model: {n_classes: 4, in_channels: 1}, author: me}}
  other: {path: model.pt, meta: {author: me}}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """One DVC project; params.yaml at its root and in sky/, which is also the folder of an own dvc.yaml."""
    registry = make_registry(tmp_path_factory.mktemp("params"))
    registry.track("sky/model.pt", WEIGHTS_ONE)
    registry.track("sea/deep/model.pt", WEIGHTS_ONE)
    files = {
        "params.yaml": "model: {n_classes: 9}\ntrain: {model: {n_classes: 10}}\n",
        "sky/params.yaml": "model: {n_classes: 11}\n",
        "sea/params.yaml": "train: {lr: 0.1}\n",
        "sky/dvc.yaml": DVC_YAML,
        "sky/network.yml": "net: {n_classes: 12}\n",
        "binary.yaml": "\xff",
        "sky/typo.yaml": "model: {n_clases: 2}\n",
        "typo.yaml": "model: {n_classes: 2}\n",
    }
    for name, text in files.items():
        (registry.path / name).write_bytes(text.encode("latin-1"))
    registry.commit("files", "v1")
    for name in ("plain", "direct", "nested", "other"):
        registry.register(f"sky:{name}", "v1.0.0")
    return registry


@pytest.mark.parametrize(
    ("asked", "path", "params", "expected"),
    [
        ("v1", "sky/model.pt", "", (11, "sky/params.yaml of ")),
        ("v1", "sea/deep/model.pt", "", (9, "params.yaml of ")),
        ("v1", "sea/deep/model.pt", "params.yaml:train.model", (10, "params.yaml of ")),
        ("v1", "sky/model.pt", "network.yml:net", (12, "sky/network.yml of ")),
        ("sky:plain", "", "", (11, "sky/params.yaml of ")),
        ("sky:other", "", "", (11, "sky/params.yaml of ")),
        ("sky:direct", "", "", (2, "the artifact 'sky:direct' in dvc.yaml of ")),
        ("sky:nested", "", "", (4, "the artifact 'sky:nested' in dvc.yaml of ")),
        ("sky:nested", "", "network.yml:net", (12, "sky/network.yml of ")),
    ],
)
def test_section(registry: Registry, asked: str, path: str, params: str, expected: tuple[int, str]) -> None:
    with open_revision(str(registry.path), asked, options=RegistryOptions(params=params)) as opened:
        section = opened.read_section(opened.weights_path(path))
        found, where = expected
        assert section.values["n_classes"] == found
        assert section.where.startswith(where + str(registry.path))


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ("params.yaml:network", r"^sky/params.yaml of .* no `network` section, only \['model'\]"),
        ("typo.yaml", "^sky/typo.yaml of .* `n_clases`; did you mean `n_classes`"),
        ("settings.yaml", "^settings.yaml of .* no such file; .*CLOUDSEG_MODEL_PARAMS"),
        ("binary.yaml", "^binary.yaml of .* not YAML"),
    ],
)
def test_missing_sections_are_named(registry: Registry, params: str, told: str) -> None:
    with (
        open_revision(str(registry.path), "v1", options=RegistryOptions(params=params)) as opened,
        pytest.raises(ModelParamsError, match=told),
    ):
        opened.read_section("sky/model.pt")
