"""Finds a network's receptive field, which determines how far tiles must overlap.

It is measured, and so works for any exported program. NaN propagates to everything computed from it, however small the
weight: a block of NaN in the input marks all logits that the block can influence. This holds for convolutions, pooling,
upsampling, normalization and activations in PyTorch. Networks with operations that swallow NaN, or that depend on the
position in the image, are detected by comparing the logits of a part of an image with those of the whole.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator

import torch
from torch import nn

_log = logging.getLogger(__name__)

_FARTHEST = 1024
"""Largest receptive field in pixels; a larger one counts as unlimited. Exceeds that of any network in use, so that a
strip of twice the length also shows influence across a gap (a convolution with large dilation)."""
_MIN_BLOCKS = 16
"""Minimum length of a strip, in blocks of stride × stride pixels: a U-Net of any depth reaches six."""
_ACROSS = 32
"""Width of a strip in pixels, at least two blocks."""
_TOLERANCE = 1e-3
"""Allowed difference of logits, as a share of the largest."""

Forward = Callable[[torch.Tensor], torch.Tensor]


def find_receptive_field(forward: Forward, *, in_channels: int, stride: int, device: torch.device) -> int | None:
    """Measure how far a pixel's influence reaches through a network.

    Takes a few forward passes of small images. Autocast, compilers and reduced precision must be off: some fused
    kernels swallow NaN, and the logits of a part must equal those of the whole.

    Args:
        forward: Maps float32 images (N, in_channels, H, W) to logits (N, n_classes, H, W), in evaluation mode.
        in_channels: Number of channels of the images.
        stride: H and W are multiples of it.
        device: The device to compute on.

    Returns:
        The receptive field in pixels, a multiple of the stride: logits do not depend on pixels farther away in height
        or in width. None if it exceeds about a thousand pixels, or cannot be measured; the log says why.
    """
    probe = _Probe(forward, in_channels, stride, device)
    with torch.inference_mode():
        if (along_width := probe.reach_along(3)) is None or (along_height := probe.reach_along(2)) is None:
            return None
        reach = max(along_width, along_height)
        return reach if probe.part_equals_whole(reach) else None


def module_receptive_field(network: nn.Module, stride: int) -> int | None:
    """Measure the receptive field of a small network of one input channel, on the CPU."""
    return find_receptive_field(network.eval(), in_channels=1, stride=stride, device=torch.device("cpu"))


class _Probe:
    def __init__(self, forward: Forward, in_channels: int, stride: int, device: torch.device) -> None:
        self._forward = forward
        self._channels = in_channels
        self._stride = stride
        self._device = device
        self._across = max(2, math.ceil(_ACROSS / stride))
        self._random = torch.Generator().manual_seed(0)

    def reach_along(self, axis: int) -> int | None:
        """Put NaN across the middle of a long strip along an axis, and return how far NaN spreads in the logits."""
        stride = self._stride
        last_error = None
        for blocks, across in self._strips():
            length, begin = blocks * stride, blocks // 2 * stride
            try:
                marked = self._marked(axis, length, across * stride, begin)
                self._across = across
                break
            except Exception as error:  # noqa: BLE001  programs reject sizes with any exception
                last_error = error
        else:
            self._warn(f"the network fails on small images ({type(last_error).__name__}: {last_error})")
            return None
        if not marked:
            self._warn("an operation hides NaN")
            return None
        if marked[0] == 0 or marked[-1] == length - 1:
            self._warn(f"it is more than {begin} pixels, possibly the whole image")
            return None
        return math.ceil(max(begin - marked[0], marked[-1] + 1 - begin - stride, 0) / stride) * stride

    def _strips(self) -> Iterator[tuple[int, int]]:
        """Yield the (length, width) of strips to try, in blocks; later ones are for programs that reject the first."""
        shortest = max(_MIN_BLOCKS, math.ceil(2 * _ACROSS / self._stride))
        length = math.ceil(2 * _FARTHEST / self._stride) + 3
        while length > shortest:
            yield length, self._across
            length //= 2
        yield shortest, self._across
        yield shortest, shortest
        yield 4 * shortest, 4 * shortest

    def _marked(self, axis: int, length: int, across: int, begin: int) -> list[int]:
        """Return the positions along an axis where logits are NaN, if the input is NaN in the block at `begin`."""
        images = self._images(*((length, across) if axis == 2 else (across, length)))
        images.narrow(axis, begin, self._stride).fill_(math.nan)
        marked = self._forward(images).isnan().movedim(axis, 0).flatten(1).any(dim=1)
        return [int(place) for place in marked.nonzero().flatten()]

    def part_equals_whole(self, reach: int) -> bool:
        """Return whether the logits of two parts equal those of the whole image, away from the cut edges."""
        cut = 2 * self._stride
        kept = max(reach + cut, 2 * self._across * self._stride)
        unaffected = kept - reach
        images = self._images(kept + cut, kept + cut)
        parts = images[..., :kept, :kept], images[..., cut:, cut:]
        try:
            whole = self._forward(images)
            first, last = (self._forward(part.contiguous(memory_format=torch.channels_last)) for part in parts)
        except Exception as error:  # noqa: BLE001  as above
            self._warn(f"the network fails on an image of {kept + cut} pixels ({type(error).__name__}: {error})")
            return False
        difference = torch.maximum(
            (first - whole[..., :kept, :kept])[..., :unaffected, :unaffected].abs().max(),
            (last - whole[..., cut:, cut:])[..., reach:, reach:].abs().max(),
        )
        largest = whole.abs().max()
        if difference <= _TOLERANCE * largest:
            return True
        self._warn(
            f"the logits of a part of an image differ by {difference:.2g} from those of the whole, whose largest is "
            f"{largest:.2g}"
        )
        return False

    def _images(self, height: int, width: int) -> torch.Tensor:
        images = torch.randn(1, self._channels, height, width, generator=self._random)
        return images.to(self._device).contiguous(memory_format=torch.channels_last)

    def _warn(self, why: str) -> None:
        _log.warning("cannot determine the network's receptive field: %s; large images stay whole", why)
