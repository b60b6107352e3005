"""Splits an image that does not fit into tiles whose combined results equal those of the whole image.

A network whose logits depend on pixels at most `halo` away gives the same logits for a part of the image as for the
whole of it, except within `halo` of an edge that cuts through the image. So each tile reads a window and answers for
a core: the window without `halo` pixels along such edges. At the image's own edges nothing is cut off, and the
network pads there as it would for the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from cloudseg_ops.contracts.errors import ImageTooLargeError


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels: rows `top` to `bottom` and columns `left` to `right`, the ends not included."""

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
        window: What the network reads; its sides are multiples of the stride, and reach past the image where the whole
            image would be padded to one.
        core: What the tile answers for.
    """

    window: Box
    core: Box

    @property
    def core_in_window(self) -> tuple[slice, slice]:
        """Rows and columns of the core, counted from the window's corner."""
        core, window = self.core, self.window
        return (
            slice(core.top - window.top, core.bottom - window.top),
            slice(core.left - window.left, core.right - window.left),
        )


def plan_tiles(height: int, width: int, *, stride: int, halo: int | None, most_pixels: int) -> list[Tile]:
    """Cut an image into tiles.

    The cores partition the image. All windows are of one shape, chosen so that the network computes as few pixels as
    possible; one tile is the whole image, if it fits.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        stride: The network takes sides that are multiples of it.
        halo: How far a pixel's influence reaches, in pixels; None: across the whole image.
        most_pixels: Most pixels of a window.

    Returns:
        The tiles, row by row.

    Raises:
        ImageTooLargeError: No window of so few pixels holds its halo and something to answer for.
    """
    rows, columns = math.ceil(height / stride), math.ceil(width / stride)
    most_blocks = most_pixels // stride**2
    margin = math.ceil((halo or 0) / stride)
    if rows * columns <= most_blocks:
        down, across = 1, 1
    else:
        found = None if halo is None else _fewest_pixels(rows, columns, margin, most_blocks)
        if found is None:
            raise _too_large(height, width, halo, most_pixels)
        down, across = found
    return [
        Tile(
            Box(top * stride, left * stride, bottom * stride, right * stride),
            Box(begin * stride, start * stride, min(height, end * stride), min(width, stop * stride)),
        )
        for top, bottom, begin, end in _cut(rows, down, margin)
        for left, right, start, stop in _cut(columns, across, margin)
    ]


def _too_large(height: int, width: int, halo: int | None, most_pixels: int) -> ImageTooLargeError:
    why = (
        "this network looks at the whole image, or treats each place differently, for every output pixel, so "
        "that no part stands for itself"
        if halo is None
        else f"no tile of so few holds the {halo} pixels on each side that this network looks at"
    )
    return ImageTooLargeError(
        f"{width} × {height} pixels are more than the {most_pixels} that fit into memory at once, and {why}; give the "
        "engine more memory, or set max_side in params.yaml, and upload it again"
    )


def _window(blocks: int, parts: int, margin: int) -> int:
    """Length of the windows, in blocks, that cut an axis of so many blocks into so many parts.

    `parts` windows of one length overlap by twice the margin, and reach from end to end.
    """
    return blocks if parts == 1 else math.ceil((blocks - 2 * margin) / parts) + 2 * margin


def _most_parts(blocks: int, margin: int) -> int:
    """Into how many parts an axis can be cut, so that each answers for a block that others do not."""
    return max(1, blocks - 2 * margin)


def _fewest_pixels(rows: int, columns: int, margin: int, most_blocks: int) -> tuple[int, int] | None:
    """Number of tiles down and across whose windows hold the fewest blocks together, each at most so many."""
    best: tuple[int, int, int] | None = None
    for down in range(1, _most_parts(rows, margin) + 1):
        window_height = _window(rows, down, margin)
        across = _fewest_parts(columns, margin, most_blocks // window_height)
        if across is not None:
            computed = down * window_height * across * _window(columns, across, margin)
            best = min(best or (computed, down, across), (computed, down, across))
    return best and best[1:]


def _fewest_parts(blocks: int, margin: int, longest: int) -> int | None:
    """Into how many parts an axis must be cut for windows of at most `longest` blocks."""
    if blocks <= longest:
        return 1
    gain = longest - 2 * margin
    if gain < 1:
        return None
    return math.ceil((blocks - 2 * margin) / gain)


def _cut(blocks: int, parts: int, margin: int) -> list[tuple[int, int, int, int]]:
    """Cut an axis: begin and end of each part's window, begin and end of its core, in blocks."""
    length = _window(blocks, parts, margin)
    begins = [part * (blocks - length) // max(1, parts - 1) for part in range(parts)]
    # A core ends in the middle of what its window shares with the next one: at least the margin away from both ends.
    ends = [(begin + length + following) // 2 for begin, following in pairwise(begins)]
    return [
        (begin, begin + length, core_begin, core_end)
        for begin, core_begin, core_end in zip(begins, [0, *ends], [*ends, blocks], strict=True)
    ]
