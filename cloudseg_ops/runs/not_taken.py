"""Counts the objects under a run's prefix that its snapshot left out, by the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudseg_ops.contracts.objects import NOT_AN_IMAGE, NOT_SETTLED

MAX_TYPES = 20
OTHER = "other"
WITHOUT_EXTENSION = "no extension"
_LONGEST_EXTENSION = 12


@dataclass(slots=True)
class NotTaken:
    """Numbers of objects that a run left out, in bounded memory.

    Attributes:
        types: Objects that are not images, by extension; at most `MAX_TYPES` extensions, the rest as `other`.
        not_settled: Images that changed too recently.
        name_too_long: Images whose names leave no room for the name of a mask.
    """

    types: Counter[str] = field(default_factory=Counter)
    not_settled: int = 0
    name_too_long: int = 0

    @property
    def objects(self) -> int:
        """Number of all of them."""
        return self.types.total() + self.images

    @property
    def images(self) -> int:
        """Number of the images among them."""
        return self.not_settled + self.name_too_long

    def add(self, name: str, reason: str) -> None:
        """Count an object that `select_new` left out for this reason."""
        if reason == NOT_SETTLED:
            self.not_settled += 1
        elif reason != NOT_AN_IMAGE:
            self.name_too_long += 1
        else:
            extension = _extension(name)
            known = extension in self.types or len(self.types) < MAX_TYPES
            self.types[extension if known else OTHER] += 1

    def to_json(self) -> dict[str, Any]:
        """Return `{objects, types, not_settled, name_too_long}`, the most frequent types first."""
        return {
            "objects": self.objects,
            "types": dict(self._sorted_types()),
            "not_settled": self.not_settled,
            "name_too_long": self.name_too_long,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any] | None) -> NotTaken | None:
        """Read the result of `to_json`; None if it is not known, as for runs of earlier releases."""
        if not fields:
            return None
        return cls(Counter(fields["types"]), int(fields["not_settled"]), int(fields["name_too_long"]))

    def __str__(self) -> str:
        """Return one line, such as `3 objects not taken: heic (2), jfif (1)`."""
        reasons = [*self._sorted_types(), ("not settled yet", self.not_settled), ("name too long", self.name_too_long)]
        counts = ", ".join(f"{reason} ({number:,})" for reason, number in reasons if number)
        number = f"{self.objects:,} object" + ("" if self.objects == 1 else "s")
        return f"{number} not taken" + (f": {counts}" if counts else "")

    def _sorted_types(self) -> list[tuple[str, int]]:
        return sorted(self.types.items(), key=lambda item: (-item[1], item[0]))


def _extension(name: str) -> str:
    _, dot, extension = name.rpartition("/")[2].rpartition(".")
    if not dot:
        return WITHOUT_EXTENSION
    plain = extension.isascii() and extension.isalnum() and len(extension) <= _LONGEST_EXTENSION
    return extension.lower() if plain else OTHER
