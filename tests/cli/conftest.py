"""An operator's environment."""

# DVC chooses its output stream on import, which must not happen while a test captures standard output.
import dvc.repo  # noqa: F401
import pytest

from gcs_emulator import Emulator
from tests.conftest import Buckets


@pytest.fixture
def environment(emulator: Emulator, buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    monkeypatch.setenv("CLOUDSEG_INPUT_BUCKET", buckets.input)
    monkeypatch.setenv("CLOUDSEG_OUTPUT_BUCKET", buckets.output)
    monkeypatch.setenv("CLOUDSEG_STAGING_BUCKET", buckets.staging)
    monkeypatch.setenv("CLOUDSEG_MODEL_REPOSITORY", "https://git.example.org/models.git")
