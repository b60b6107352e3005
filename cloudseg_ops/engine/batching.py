"""Groups images of one size into batches."""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Size: TypeAlias = tuple[int, int]


class Batcher(Generic[Item]):
    """Items waiting to be computed, by size.

    Args:
        most_items: Most items in a batch.
        most_pixels: Most pixels in a batch of more than one item.
    """

    def __init__(self, most_items: int, most_pixels: int) -> None:
        self._most_items = most_items
        self._most_pixels = most_pixels
        self._waiting: dict[Size, list[Item]] = {}
        self._limits: dict[Size, int] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, item: Item, size: Size) -> None:
        """Let an item wait for others of its size (height and width in pixels)."""
        self._waiting.setdefault(size, []).append(item)
        self._limits[size] = max(1, min(self._most_items, self._most_pixels // (size[0] * size[1])))

    def has_full(self) -> bool:
        """Whether a batch can grow no further."""
        return self._full_size() is not None

    def take(self) -> list[Item]:
        """Take a full batch, or else the one that has waited longest; empty when nothing waits."""
        if not self._waiting:
            return []
        size = self._full_size() or next(iter(self._waiting))
        items = self._waiting.pop(size)
        limit = self._limits.pop(size)
        if rest := items[limit:]:
            self._waiting[size] = rest
            self._limits[size] = limit
        return items[:limit]

    def _full_size(self) -> Size | None:
        return next((size for size, items in self._waiting.items() if len(items) >= self._limits[size]), None)
