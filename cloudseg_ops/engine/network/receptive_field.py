"""Measures the receptive field: how far a tile must read beyond the pixels that it computes.

Found by trying, so that it holds for any program that a team exports. NaN at a place makes
NaN of everything computed from that place, however small its weight; so a block of them in the input marks, in the
logits, all that the block can influence. This holds for convolutions, pooling, upsampling, normalization and
activations in PyTorch; a network with an operation that swallows NaN, or that treats one place of an image otherwise
than another, is found out by giving it a part of an image and comparing with the whole.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator

import torch
from torch import nn

_log = logging.getLogger(__name__)

_FARTHEST = 1024
"""Pixels: what reaches farther is taken for reaching everywhere. More than any network in use, so that a strip of twice
as much shows also what a pixel influences across a gap (a convolution of large dilation)."""
_LEAST_BLOCKS = 16
"""Blocks of stride × stride pixels along a strip: enough for a U-Net of any depth, which reaches six."""
_ACROSS = 32
"""Pixels across a strip, or two blocks where these are more."""
_TOLERANCE = 1e-3
"""By how much logits may differ, as a share of their largest."""

Forward = Callable[[torch.Tensor], torch.Tensor]


def find_receptive_field(forward: Forward, *, in_channels: int, stride: int, device: torch.device) -> int | None:
    """Find out how far a pixel's influence reaches.

    Costs a few forward passes of small images. Autocast, compilers and reduced precision must be
    off: some fused kernels swallow NaN, and a part must give what the whole does.

    Args:
        forward: From float32 images (N, in_channels, H, W) to logits (N, n_classes, H, W), in evaluation mode.
        in_channels: Of the images.
        stride: H and W are multiples of it.
        device: Where to compute.

    Returns:
        Pixels, a multiple of the stride: logits are the same whatever is farther away in height or in width. None:
        there is no such number up to a thousand, or the network treats places differently; the log says which.
    """
    probe = _Probe(forward, in_channels, stride, device)
    with torch.inference_mode():
        if (along_width := probe.reach_along(3)) is None or (along_height := probe.reach_along(2)) is None:
            return None
        reach = max(along_width, along_height)
        return reach if probe.part_is_as_the_whole(reach) else None


def module_receptive_field(network: nn.Module, stride: int) -> int | None:
    """Find the receptive field of a small network of one channel, on the CPU, where it costs next to nothing."""
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
        """Put NaN across the middle of a long strip along an axis, and check which logits are finite."""
        stride = self._stride
        refused = None
        for blocks, across in self._strips():
            length, begin = blocks * stride, blocks // 2 * stride
            try:
                marked = self._marked(axis, length, across * stride, begin)
                self._across = across
                break
            except Exception as error:  # noqa: BLE001  a program refuses a size in its own words; it may take others
                refused = error
        else:
            self._untold(f"it fails on small images ({type(refused).__name__}: {refused})")
            return None
        if not marked:
            self._untold("it hides NaN")
            return None
        if marked[0] == 0 or marked[-1] == length - 1:
            self._untold(f"it is more than {begin} pixels, if not all of the image")
            return None
        return math.ceil(max(begin - marked[0], marked[-1] + 1 - begin - stride, 0) / stride) * stride

    def _strips(self) -> Iterator[tuple[int, int]]:
        """Give lengths and breadths to try, in blocks; the later ones are for programs that refuse the first."""
        least = max(_LEAST_BLOCKS, math.ceil(2 * _ACROSS / self._stride))
        length = math.ceil(2 * _FARTHEST / self._stride) + 3
        while length > least:
            yield length, self._across
            length //= 2
        yield least, self._across
        yield least, least
        yield 4 * least, 4 * least

    def _marked(self, axis: int, length: int, across: int, begin: int) -> list[int]:
        """Tell at which places along an axis logits are NaN, when pixels of the block that begins there are."""
        images = self._images(*((length, across) if axis == 2 else (across, length)))
        images.narrow(axis, begin, self._stride).fill_(math.nan)
        marked = self._forward(images).isnan().movedim(axis, 0).flatten(1).any(dim=1)
        return [int(place) for place in marked.nonzero().flatten()]

    def part_is_as_the_whole(self, reach: int) -> bool:
        """Compare the logits of an image with those of its parts, where these do not look past their edges."""
        cut = 2 * self._stride
        kept = max(reach + cut, 2 * self._across * self._stride)
        alike = kept - reach
        images = self._images(kept + cut, kept + cut)
        parts = images[..., :kept, :kept], images[..., cut:, cut:]
        try:
            whole = self._forward(images)
            first, last = (self._forward(part.contiguous(memory_format=torch.channels_last)) for part in parts)
        except Exception as error:  # noqa: BLE001  as above
            self._untold(f"it fails on an image of {kept + cut} pixels ({type(error).__name__}: {error})")
            return False
        apart = torch.maximum(
            (first - whole[..., :kept, :kept])[..., :alike, :alike].abs().max(),
            (last - whole[..., cut:, cut:])[..., reach:, reach:].abs().max(),
        )
        largest = whole.abs().max()
        if apart <= _TOLERANCE * largest:
            return True
        self._untold(f"logits of a part of an image differ by {apart:.2g} from the whole's, up to {largest:.2g}")
        return False

    def _images(self, height: int, width: int) -> torch.Tensor:
        images = torch.randn(1, self._channels, height, width, generator=self._random)
        return images.to(self._device).contiguous(memory_format=torch.channels_last)

    def _untold(self, why: str) -> None:
        _log.warning("how far this network looks around each pixel cannot be told: %s; large images stay whole", why)
