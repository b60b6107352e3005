"""Colors of the classes in previews."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Okabe and Ito's palette (jfly.uni-koeln.de/color), which people with any color vision can tell apart, without its
# blues and its black, which a sky has itself.
_TINTS = ("#e69f00", "#cc79a7", "#009e73", "#f0e442", "#d55e00")


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A class and its color.

    Attributes:
        name: The class.
        color: `#rrggbb`; None where the overlay leaves the photograph as it is.
    """

    name: str
    color: str | None


def overlay_color(class_index: int) -> str | None:
    """Color that the overlay of a preview lays over a class, `#rrggbb`; None for class 0, clear sky."""
    return _TINTS[(class_index - 1) % len(_TINTS)] if class_index else None


def legend(classes: Sequence[str]) -> list[LegendEntry]:
    """Name the classes' colors; those beyond the palette share one."""
    return [LegendEntry(name, overlay_color(index)) for index, name in enumerate(classes)]
