"""The steps around an image's forward pass, in plain google-cloud-storage and Pillow.

Contenders c, d and e share them. This module does not import torch, which workers that only download and upload do not
need.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cloudseg_ops.contracts.provenance import mask_name
from cloudseg_ops.engine.images.masks import Classes, encode_mask

if TYPE_CHECKING:
    from google.cloud.storage import Client


def open_client(connections: int = 16) -> Client:
    """Connect to the emulator that STORAGE_EMULATOR_HOST names."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client
    from requests.adapters import HTTPAdapter

    client = Client(project="benchmark", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    client._http.mount(os.environ["STORAGE_EMULATOR_HOST"], HTTPAdapter(pool_maxsize=connections))
    return client


def list_names(client: Client, bucket: str) -> list[str]:
    return [blob.name for blob in client.list_blobs(bucket)]


def download(client: Client, bucket: str, name: str) -> bytes:
    data: bytes = client.bucket(bucket).blob(name).download_as_bytes()
    return data


def pixels(data: bytes) -> npt.NDArray[np.uint8]:
    """Decode to RGB, shape (H, W, 3)."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def save(client: Client, bucket: str, name: str, classes: Classes, more: dict[str, str] | None = None) -> None:
    """Encode a mask and upload it with its metadata, in one request."""
    blob = client.bucket(bucket).blob(mask_name(name))
    cover = float(np.count_nonzero(classes)) / classes.size
    blob.metadata = {"source-name": name, "cloud-fraction": f"{cover:.6f}", **(more or {})}
    blob.upload_from_string(encode_mask(classes, 1), content_type="image/png")


def delete(client: Client, bucket: str, name: str) -> None:
    client.bucket(bucket).blob(name).delete()


def provenance_metadata(job: Any) -> dict[str, str]:
    """Return the provenance metadata of a mask, about as much as the engine writes."""
    return {
        "source-bucket": job.input,
        "model-architecture": job.params["architecture"],
        "model-weights": os.path.basename(job.weights),  # noqa: PTH119
        "run-id": "benchmark",
    }
