"""The smallest real model and photographs."""

import hashlib
import io
import json

import numpy as np
import torch
from PIL import Image

from cloudseg_ops.contracts.model_ref import ModelParams, ModelRef, model_digest
from cloudseg_ops.contracts.run_layout import RunLayout, staged_weights
from cloudseg_ops.engine.network.networks import UNet
from cloudseg_ops.storage import Store

PARAMS = ModelParams(architecture="unet", in_channels=3, n_classes=1, arguments={"width": 2, "depth": 1})


def weights(seed: int = 0) -> bytes:
    """Return the state dict of a tiny U-Net."""
    torch.manual_seed(seed)
    buffer = io.BytesIO()
    torch.save(UNet(3, 1, 2, 1).state_dict(), buffer)
    return buffer.getvalue()


def stage_model(store: Store, layout: RunLayout, data: bytes) -> ModelRef:
    """Stage a model like `pull_model`, without a registry."""
    md5 = hashlib.md5(data).hexdigest()
    uri = staged_weights(layout.staging, md5, ".pt")
    store.write(uri, data)
    model = ModelRef(
        revision="v1",
        commit="0" * 40,
        repository="none",
        md5=md5,
        uri=str(uri),
        digest=model_digest(md5, PARAMS),
        params=PARAMS,
    )
    store.write(layout.model, json.dumps(model.to_json()).encode())
    return model


def photograph(seed: int, width: int = 12, height: int = 9) -> bytes:
    """Return a PNG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
