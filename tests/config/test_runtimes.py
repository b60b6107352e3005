import sys
from types import ModuleType

import pytest

from cloudseg_ops.config.extensions import find_entry
from cloudseg_ops.config.runtimes import RUNTIMES, Runtime, find_runtime
from cloudseg_ops.contracts.errors import SettingsError
from tests.support.environment import settings_with


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A custom module of a team."""
    made = ModuleType("my_module")
    monkeypatch.setitem(sys.modules, "my_module", made)
    return made


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_runtime_has_an_operator_mapped_over_chunks(name: str) -> None:
    operator = RUNTIMES[name].load_operator()
    assert "chunk" in operator.template_fields
    assert operator.__doc__


@pytest.mark.parametrize("name", [name for name, runtime in RUNTIMES.items() if runtime.cluster])
def test_pod_runtimes_use_the_gpu(name: str) -> None:
    given = settings_with(runtime=name, image="x.io/y@sha256:" + "0" * 64, gke_cluster="c", gke_location="europe-west1")
    assert given.engine_device == "cuda"
    assert settings_with().engine_device == "auto"


def test_custom_runtime_is_found(module: ModuleType) -> None:
    module.BATCH = Runtime(operator="my_module:Operator")  # type: ignore[attr-defined]
    given = settings_with(runtime="my_module:BATCH")
    assert find_runtime(given) is module.BATCH
    assert given.engine_device == "auto"
    assert find_runtime(given).arguments(given, "model") == {"settings": given, "model": "model"}


def test_custom_runtime_can_require_settings_of_both_kinds(module: ModuleType) -> None:
    module.BATCH = Runtime(operator="my_module:Operator", requires=("image", "gcp_conn_id"))  # type: ignore[attr-defined]
    needs = "CLOUDSEG_RUNTIME=my_module:BATCH needs CLOUDSEG_IMAGE, CLOUDSEG_GCP_CONN_ID"
    with pytest.raises(SettingsError, match=needs):
        find_runtime(settings_with(runtime="my_module:BATCH"))


def test_invalid_custom_runtime_is_reported(module: ModuleType) -> None:
    module.BATCH = "my_module:Operator"  # type: ignore[attr-defined]
    with pytest.raises(SettingsError, match="'my_module:BATCH': it is a str; a Runtime is needed"):
        find_runtime(settings_with(runtime="my_module:BATCH"))
    with pytest.raises(SettingsError, match="'my_module:NICE': module 'my_module' has no attribute 'NICE'"):
        find_runtime(settings_with(runtime="my_module:NICE"))
    with pytest.raises(SettingsError, match="'no_module:NICE': No module named 'no_module'"):
        find_runtime(settings_with(runtime="no_module:NICE"))


def test_name_in_the_table_is_found_without_an_import() -> None:
    table = {"one": 1}
    assert find_entry("CLOUDSEG_X", "one", table, int) == 1
    with pytest.raises(
        SettingsError, match=r"CLOUDSEG_X = 'two': Input should be one of one, or your own package\.module:NAME"
    ):
        find_entry("CLOUDSEG_X", "two", table, int)
