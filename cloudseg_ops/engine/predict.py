"""From photographs to classes: normalize, resize, pad, forward, and all the way back."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch.nn import functional

from cloudseg_ops.engine.decode import DecodedImage
from cloudseg_ops.engine.loading import Network, load_network
from cloudseg_ops.engine.masks import Classes
from cloudseg_ops.engine.options import Precision
from cloudseg_ops.engine.reference import describe
from cloudseg_ops.errors import EngineError, ModelLoadError
from cloudseg_ops.models import ModelRef

_log = logging.getLogger(__name__)


def use_bf16(precision: Precision, device: torch.device) -> bool:
    """Tell whether to compute in bfloat16: as asked, or where the device has matrix units for it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return False


class Predictor:
    """A model on a device.

    Used by one thread at a time.

    Args:
        ref: The model; its parameters say how pixels are made ready and what the logits mean.
        network: Its network on `device`.
        device: Where to compute.
        bf16: Compute convolutions in bfloat16.
    """

    def __init__(self, ref: ModelRef, network: Network, device: torch.device, *, bf16: bool) -> None:
        self._ref = ref
        self._network = network
        self._device = device
        self._bf16 = bf16
        normalize = ref.params.normalize
        channels = ref.params.in_channels
        self._mean = self._per_channel(normalize.mean if normalize else (0.0,) * channels)
        self._std = self._per_channel(normalize.std if normalize else (1.0,) * channels)

    @classmethod
    def load(cls, ref: ModelRef, weights: bytes, *, threads: int, precision: Precision) -> Predictor:
        """Load a model onto the GPU where there is one, else onto the CPU.

        Args:
            ref: The model.
            weights: The bytes of its weights file.
            threads: Threads of one operation on the CPU.
            precision: What to compute convolutions in.

        Raises:
            ModelLoadError: The weights do not fit the parameters.
        """
        torch.set_num_threads(threads)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        bf16 = use_bf16(precision, device)
        _log.info("%s on %s in %s", describe(ref), device.type, "bfloat16" if bf16 else "float32")
        return cls(ref, load_network(ref, weights, device), device, bf16=bf16)

    def _per_channel(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device).view(1, -1, 1, 1)

    @property
    def any_batch(self) -> bool:
        """Whether several images may be given at once."""
        return self._network.any_batch

    def seen_size(self, image: DecodedImage) -> tuple[int, int]:
        """Height and width of an image as the network sees it, before padding."""
        longest = self._ref.params.max_side
        scale = min(1.0, longest / max(image.height, image.width)) if longest else 1.0
        return max(1, round(image.height * scale)), max(1, round(image.width * scale))

    def padded_size(self, image: DecodedImage) -> tuple[int, int]:
        """Height and width of an image after padding; images that agree in it may share a batch."""
        height, width = self.seen_size(image)
        stride = self._network.stride
        return math.ceil(height / stride) * stride, math.ceil(width / stride) * stride

    @torch.inference_mode()
    def predict(self, images: Sequence[DecodedImage]) -> list[Classes]:
        """Segment photographs that agree in `padded_size`.

        Returns:
            A mask for each, of its own height and width.

        Raises:
            ModelLoadError: The network's output is not of the shape that the parameters promise.
            EngineError: The network gave logits that are no numbers.
        """
        batch = torch.cat([self._prepare(image) for image in images])
        batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            logits = self._network.forward(batch)
        self._check(logits, batch)
        resized = [self.seen_size(image) != (image.height, image.width) for image in images]
        if any(resized):
            return [self._restore(part, image) for part, image in zip(logits, images, strict=True)]
        classes = _classify(logits)
        return [
            np.ascontiguousarray(part[: image.height, : image.width])
            for part, image in zip(classes, images, strict=True)
        ]

    def _prepare(self, image: DecodedImage) -> torch.Tensor:
        """Give an image as the network takes it: float32, shape (1, C, H, W), H and W multiples of the stride."""
        values = torch.from_numpy(image.pixels).to(self._device).permute(2, 0, 1)[None].float()
        if image.pixels.dtype == np.uint8:
            values = values / 255
        seen = self.seen_size(image)
        if seen != (image.height, image.width):
            values = functional.interpolate(values, seen, mode="bilinear", align_corners=False, antialias=True)
        height, width = self.padded_size(image)
        values = functional.pad(values, (0, width - seen[1], 0, height - seen[0]), mode="replicate")
        return (values - self._mean) / self._std

    def _check(self, logits: object, batch: torch.Tensor) -> None:
        expected = (batch.shape[0], self._ref.params.n_classes, *batch.shape[2:])
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        if not isinstance(logits, torch.Tensor) or found != expected:
            raise ModelLoadError(
                f"{describe(self._ref)} gave {found} for images of shape {tuple(batch.shape)}, and its parameters "
                f"promise logits of shape {expected}; correct n_classes or size_multiple in params.yaml"
            )
        if not torch.isfinite(logits).all():
            raise EngineError(
                f"{describe(self._ref)} gave logits that are no numbers (NaN or infinite) for images of shape "
                f"{tuple(batch.shape)}: such a mask would mean nothing; check the weights, and --precision fp32"
            )

    def _restore(self, logits: torch.Tensor, image: DecodedImage) -> Classes:
        """Scale the logits of one image, shape (n_classes, H, W), back to its own size, then classify."""
        height, width = self.seen_size(image)
        full = functional.interpolate(
            logits[None, :, :height, :width].float(),
            (image.height, image.width),
            mode="bilinear",
            align_corners=False,
        )
        return cast("Classes", _classify(full)[0])


def _classify(logits: torch.Tensor) -> Classes:
    """Give the class of each pixel; logits of shape (N, n_classes, H, W) make classes of shape (N, H, W)."""
    classes = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(dim=1)
    return cast("Classes", classes.to(torch.uint8).cpu().numpy())
