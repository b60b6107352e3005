"""The variables of an Airflow environment."""

from cloudseg_ops.config.settings import Settings

REQUIRED = {
    "CLOUDSEG_INPUT_BUCKET": "photos-in",
    "CLOUDSEG_OUTPUT_BUCKET": "photos-out",
    "CLOUDSEG_STAGING_BUCKET": "photos-staging",
    "CLOUDSEG_MODEL_REPOSITORY": "https://git.example.org/models.git",
}
IMAGE = "registry.example.org/cloudseg@sha256:" + "0" * 64


def settings_with(**changes: str) -> Settings:
    """The required settings and others, by field name."""
    return Settings.from_environment(REQUIRED | {f"CLOUDSEG_{key.upper()}": value for key, value in changes.items()})
