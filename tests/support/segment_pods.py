"""Settings, a chunk and a task's context for tests of the operators that segment in pods."""

from types import SimpleNamespace
from typing import Any

from cloudseg_ops.config.settings import Settings

RUN_ID = "manual__2026-01-01T00:00:00+00:00"
CHUNK = {"index": 3, "uri": f"gs://staging/runs/{RUN_ID}/chunks/00003.jsonl", "objects": 2, "bytes": 10}
MODEL = {"commit": "a" * 40, "revision": "v1"}
IMAGE = "registry.example/cloudseg@sha256:" + "0" * 64


def settings(**variables: str) -> Settings:
    required = {
        "CLOUDSEG_INPUT_BUCKET": "photos",
        "CLOUDSEG_OUTPUT_BUCKET": "masks",
        "CLOUDSEG_STAGING_BUCKET": "staging",
        "CLOUDSEG_MODEL_REPOSITORY": "https://git.example/models.git",
        "CLOUDSEG_RUNTIME": "kubernetes",
        "CLOUDSEG_IMAGE": IMAGE,
        "CLOUDSEG_GKE_CLUSTER": "gpus",
        "CLOUDSEG_GKE_LOCATION": "europe-west4",
    }
    return Settings.from_environment({**required, **{f"CLOUDSEG_{key}": value for key, value in variables.items()}})


def context(try_number: int = 1, max_tries: int = 4) -> dict[str, Any]:
    ti = SimpleNamespace(
        dag_id="cloud_segmentation",
        task_id="segment",
        run_id=RUN_ID,
        map_index=3,
        try_number=try_number,
        max_tries=max_tries,
    )
    return {"ti": ti, "run_id": RUN_ID, "dag": None}
