"""Times the phases of one start: imports, CUDA context, weights, first pass, first mask, and a second mask."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(began: str, device: str, reference: str, weights: str, photograph: str) -> None:
    """Print the seconds of each phase as JSON.

    Args:
        began: When the process was started, seconds since the epoch.
        device: The network's device.
        reference: Path of the model's reference, JSON.
        weights: Path of the weights.
        photograph: Path of a photograph.
    """
    marks = [("interpreter", time.time() - float(began))]
    last = time.perf_counter()

    def mark(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        marks.append((name, now - last))
        last = now

    import torch

    from cloudseg_ops.contracts.model_ref import ModelRef
    from cloudseg_ops.engine.images.decode import decode
    from cloudseg_ops.engine.images.masks import encode_mask
    from cloudseg_ops.engine.network.loading import load_network
    from cloudseg_ops.engine.network.predict import Predictor

    mark("imports")
    torch.zeros(1, device=device)
    mark("context")
    ref = ModelRef.from_json(json.loads(Path(reference).read_text("utf-8")))
    network = load_network(ref, Path(weights).read_bytes(), torch.device(device)).in_bf16()
    mark("weights")
    image = decode(Path(photograph).read_bytes(), ref.params.in_channels, 1 << 29, max_side=ref.params.max_side)
    predictor = Predictor(ref, network)
    mark("decode")
    (prediction,) = predictor.predict([image])
    mark("first_pass")
    encode_mask(prediction.restored(image.mask_size), ref.params.n_classes)
    mark("encode")
    predictor.predict([image])
    mark("second_pass")
    print(json.dumps({f"{name}_seconds": seconds for name, seconds in marks}))


if __name__ == "__main__":
    main(*sys.argv[1:])
