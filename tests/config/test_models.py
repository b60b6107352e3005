"""Settings that say how to read a model from its registry."""

import pytest

from cloudseg_ops.config.models import ModelSettings
from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.errors import SettingsError
from tests.support.environment import REQUIRED


def test_defaults_read_what_the_registry_says() -> None:
    settings = ModelSettings.of_model({})
    assert (settings.model_params, settings.model_remote, settings.model_remote_options) == ("", None, {})
    assert settings.model_remote_conn_id is None


def test_variables_are_read() -> None:
    settings = Settings.from_environment(
        {
            **REQUIRED,
            "CLOUDSEG_MODEL_REVISION": "ml/sky:clouds#prod",
            "CLOUDSEG_MODEL_PARAMS": "configs/net.yaml:train.model",
            "CLOUDSEG_MODEL_REMOTE": "minio",
            "CLOUDSEG_MODEL_REMOTE_OPTIONS": "endpointurl=https://minio.example profile='a b' version_aware=true",
            "CLOUDSEG_MODEL_REMOTE_CONN_ID": "minio",
        }
    )
    assert settings.model_revision == "ml/sky:clouds#prod"
    assert settings.model_remote_options == {
        "endpointurl": "https://minio.example", "profile": "a b", "version_aware": "true",
    }  # fmt: skip
    assert settings.model_params == "configs/net.yaml:train.model"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("CLOUDSEG_MODEL_REMOTE_OPTIONS", "secret_access_key=hunter2", "CLOUDSEG_MODEL_REMOTE_CONN_ID"),
        ("CLOUDSEG_MODEL_REMOTE_OPTIONS", "password=hunter2", "password would be visible"),
        ("CLOUDSEG_MODEL_REMOTE_OPTIONS", "hunter2", "not name=value"),
        ("CLOUDSEG_MODEL_PARAMS", "a:b:c", "params.yaml:model"),
        ("CLOUDSEG_MODEL_REVISION", "clouds@v1!", "name@v1.2.0"),
    ],
)
def test_invalid_values_are_refused_and_secrets_not_repeated(variable: str, value: str, told: str) -> None:
    for read in (Settings.from_environment, ModelSettings.of_model):
        if read == ModelSettings.of_model and variable == "CLOUDSEG_MODEL_REVISION":
            continue
        with pytest.raises(SettingsError) as raised:
            read({**REQUIRED, variable: value})
        assert told in str(raised.value)
        assert variable in str(raised.value)
        assert "=hunter2" not in str(raised.value)
