"""The variables of an Airflow environment."""

REQUIRED = {
    "CLOUDSEG_INPUT_BUCKET": "photos-in",
    "CLOUDSEG_OUTPUT_BUCKET": "photos-out",
    "CLOUDSEG_STAGING_BUCKET": "photos-staging",
    "CLOUDSEG_MODEL_REPOSITORY": "https://git.example.org/models.git",
}
IMAGE = "registry.example.org/cloudseg@sha256:" + "0" * 64
