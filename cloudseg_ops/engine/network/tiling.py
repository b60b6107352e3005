"""Cuts images that do not fit into memory into tiles whose combined result equals that of the whole image.

If logits depend only on pixels at most `halo` away, the network computes the same logits for a part of the image as
for the whole, except within `halo` pixels of an edge that cuts through the image. So each tile has a window, which the
network reads, and a core, which is kept: the window without `halo` pixels along such edges. At the image's own edges
nothing is discarded; there the network pads as it does for the whole image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from cloudseg_ops.contracts.errors import ImageTooLargeError
from cloudseg_ops.engine.images.masks import Classes
from cloudseg_ops.engine.images.pixels import Pixels

_MARGIN = 8
"""Tiles of a fixed size overlap by two of this many parts of their sides."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels: rows `top` to `bottom` and columns `left` to `right`, excluding the ends."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image.

    Attributes:
        window: What the network reads; its sides are multiples of the stride, and extend past the image where the
            whole image would be padded.
        core: The part of the window whose result is kept.
    """

    window: Window
    core: Window

    @property
    def core_in_window(self) -> tuple[slice, slice]:
        """Rows and columns of the core, relative to the window's top left corner."""
        core, window = self.core, self.window
        return (
            slice(core.top - window.top, core.bottom - window.top),
            slice(core.left - window.left, core.right - window.left),
        )


def plan_tiles(height: int, width: int, *, stride: int, halo: int | None, max_pixels: int) -> list[Tile]:
    """Cut an image into tiles.

    The cores partition the image. All windows have the same shape, chosen so that the network computes as few pixels
    as possible. If the whole image fits, it is the only tile.

    Args:
        height: Height of the image, in pixels.
        width: Width of the image, in pixels.
        stride: Sides of the network's input are multiples of it.
        halo: The network's receptive field, in pixels; None if unlimited.
        max_pixels: Maximum number of pixels of a window.

    Returns:
        The tiles, row by row.

    Raises:
        ImageTooLargeError: No window of at most `max_pixels` has a core within its halo.
    """
    rows, columns = math.ceil(height / stride), math.ceil(width / stride)
    max_blocks = max_pixels // stride**2
    margin = math.ceil((halo or 0) / stride)
    if rows * columns <= max_blocks:
        down, across = 1, 1
    else:
        found = None if halo is None else _fewest_pixels(rows, columns, margin, max_blocks)
        if found is None:
            raise _too_large(height, width, halo, max_pixels)
        down, across = found
    return [
        Tile(
            Window(top * stride, left * stride, bottom * stride, right * stride),
            Window(begin * stride, start * stride, min(height, end * stride), min(width, stop * stride)),
        )
        for top, bottom, begin, end in _cut(rows, down, margin)
        for left, right, start, stop in _cut(columns, across, margin)
    ]


def plan_fixed_tiles(height: int, width: int, window: tuple[int, int]) -> list[Tile]:
    """Cut an image into tiles of one size that overlap, for a network that takes only that size.

    Neighboring windows overlap by at least a quarter of a window, and each keeps its half of the overlap, so that a
    network sees at least an eighth of a window around each pixel it is asked for, except at the image's own edges.

    Args:
        height: Height of the image, in pixels.
        width: Width of the image, in pixels.
        window: Height and width of all windows, in pixels; a window that is larger than the image extends past it.

    Returns:
        The tiles, row by row; their cores partition the image.
    """
    return [
        Tile(
            Window(top, left, bottom, right),
            Window(begin, start, min(height, end), min(width, stop)),
        )
        for top, bottom, begin, end in _spread(max(height, window[0]), _fixed_parts(height, window[0]), window[0])
        for left, right, start, stop in _spread(max(width, window[1]), _fixed_parts(width, window[1]), window[1])
    ]


def count_fixed_tiles(height: int, width: int, window: tuple[int, int]) -> int:
    """Return the number of tiles of `plan_fixed_tiles`."""
    return _fixed_parts(height, window[0]) * _fixed_parts(width, window[1])


def _fixed_parts(pixels: int, length: int) -> int:
    overlap = 2 * (length // _MARGIN)
    return 1 if pixels <= length else math.ceil((pixels - overlap) / (length - overlap))


def _too_large(height: int, width: int, halo: int | None, max_pixels: int) -> ImageTooLargeError:
    why = (
        "this network looks at the whole image for every pixel, or depends on the position in it, so the image cannot "
        "be cut into tiles"
        if halo is None
        else f"no tile of that size has room for the {halo} pixels on each side that this network looks at"
    )
    return ImageTooLargeError(
        f"{width} × {height} pixels are more than the {max_pixels} that fit into memory at once, and {why}; give the "
        "engine more memory, or set max_side in params.yaml, and upload it again"
    )


def _window(blocks: int, parts: int, margin: int) -> int:
    """Return the length, in blocks, of `parts` equal windows that span the axis and overlap by twice the margin."""
    return blocks if parts == 1 else math.ceil((blocks - 2 * margin) / parts) + 2 * margin


def _max_parts(blocks: int, margin: int) -> int:
    """Return the maximum number of parts of an axis, each with at least one block of core."""
    return max(1, blocks - 2 * margin)


def _fewest_pixels(rows: int, columns: int, margin: int, max_blocks: int) -> tuple[int, int] | None:
    """Return the number of tiles (down, across) that minimizes the total size of windows of at most `max_blocks`."""
    best: tuple[int, int, int] | None = None
    for down in range(1, _max_parts(rows, margin) + 1):
        window_height = _window(rows, down, margin)
        across = _fewest_parts(columns, margin, max_blocks // window_height)
        if across is not None:
            computed = down * window_height * across * _window(columns, across, margin)
            best = min(best or (computed, down, across), (computed, down, across))
    return best and best[1:]


def _fewest_parts(blocks: int, margin: int, longest: int) -> int | None:
    """Return the minimum number of parts of an axis with windows of at most `longest` blocks; None if impossible."""
    if blocks <= longest:
        return 1
    gain = longest - 2 * margin
    if gain < 1:
        return None
    return math.ceil((blocks - 2 * margin) / gain)


def _cut(blocks: int, parts: int, margin: int) -> list[tuple[int, int, int, int]]:
    """Cut an axis; return the begin and end of each part's window, and of its core, in blocks."""
    return _spread(blocks, parts, _window(blocks, parts, margin))


def _spread(blocks: int, parts: int, length: int) -> list[tuple[int, int, int, int]]:
    """Distribute windows of one length evenly over an axis; return the begin and end of each window and its core."""
    begins = [part * (blocks - length) // max(1, parts - 1) for part in range(parts)]
    # A core ends in the middle of the overlap with the next window, at least the margin away from both window ends.
    ends = [(begin + length + following) // 2 for begin, following in pairwise(begins)]
    return [
        (begin, begin + length, core_begin, core_end)
        for begin, core_begin, core_end in zip(begins, [0, *ends], [*ends, blocks], strict=True)
    ]


Forward = Callable[[Sequence[Pixels]], torch.Tensor]
"""From windows of one shape (h, w, channels), views of the image, to their logits (N, n_classes, h, w)."""


def segment_tiled(
    frame: Pixels, tiles: Sequence[Tile], forward: Forward, out: Classes | npt.NDArray[np.float32], *, batch: int = 1
) -> None:
    """Segment an image tile by tile.

    In addition to `frame` and `out`, this takes the memory of one batch of windows and their logits.

    Args:
        frame: The image before normalization and padding, shape (H, W, channels).
        tiles: The result of `plan_tiles` for its size.
        forward: Called with at most `batch` windows; windows that extend past the image repeat its last row and column.
        out: Receives the result: shape (H, W), uint8, for classes, or (n_classes, H, W), float32, for logits.
        batch: Maximum number of windows per call of `forward`.
    """
    for first in range(0, len(tiles), batch):
        some = tiles[first : first + batch]
        logits = forward([_read(frame, tile.window) for tile in some])
        results = (classes_of(logits) if out.ndim == 2 else logits.float()).cpu().numpy()
        for tile, result in zip(some, results, strict=True):
            core = tile.core
            out[..., core.top : core.bottom, core.left : core.right] = result[..., *tile.core_in_window]


def classes_of(logits: torch.Tensor) -> torch.Tensor:
    """Return the class of each pixel, uint8, shape (N, H, W), from logits of shape (N, n_classes, H, W)."""
    classes = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(dim=1)
    return classes.to(torch.uint8)


def _read(frame: Pixels, window: Window) -> Pixels:
    part = frame[window.top : window.bottom, window.left : window.right]
    missing = window.shape[0] - part.shape[0], window.shape[1] - part.shape[1]
    if not any(missing):
        return part
    return cast("Pixels", np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge"))
