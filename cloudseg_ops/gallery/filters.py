"""Which images of a run are shown: by outcome, chunk and cloud fraction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cloudseg_ops.contracts.errors import GalleryError
from cloudseg_ops.contracts.results import Outcome, Result

KINDS: Final[Mapping[str, frozenset[Outcome]]] = {
    "all": frozenset(Outcome),
    "masked": frozenset({Outcome.DONE, Outcome.SKIPPED}),
    "done": frozenset({Outcome.DONE}),
    "skipped": frozenset({Outcome.SKIPPED}),
    "quarantined": frozenset({Outcome.QUARANTINED}),
    "vanished": frozenset({Outcome.VANISHED}),
    "changed": frozenset({Outcome.CHANGED}),
}
"""What can be asked for, and which outcomes it stands for."""
_MOST_CHUNKS = 99_999


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for.

    Attributes:
        kind: A key of `KINDS`.
        chunk: Only this chunk; None: every one.
        least: Least cloud fraction, in percent.
        most: Greatest cloud fraction, in percent. Where these two leave anything out, so is every image without a mask.
    """

    kind: str = "all"
    chunk: int | None = None
    least: float = 0.0
    most: float = 100.0

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Filter:
        """Read the fields of the gallery's form; an empty one asks for nothing.

        Raises:
            GalleryError: A field of the form is invalid.
        """
        kind = query.get("outcome", "") or "all"
        if kind not in KINDS:
            raise GalleryError(f"outcome = {kind[:40]!r} is none of {', '.join(KINDS)}; choose one in the form")
        chunk = _number(query, "chunk", _MOST_CHUNKS)
        if chunk is not None and chunk != int(chunk):
            raise GalleryError(f"chunk = {chunk:g} is not a whole number; chunks are counted from 0")
        least, most = _number(query, "least", 100), _number(query, "most", 100)
        return cls(
            kind,
            None if chunk is None else int(chunk),
            0.0 if least is None else least,
            100.0 if most is None else most,
        )

    @property
    def by_cover(self) -> bool:
        """Whether the cloud fraction matters."""
        return self.least > 0 or self.most < 100

    def takes(self, result: Result) -> bool:
        """Whether an image is asked for."""
        if result.outcome not in KINDS[self.kind]:
            return False
        if not self.by_cover:
            return True
        fraction = result.cloud_fraction
        return fraction is not None and self.least <= 100 * fraction <= self.most

    def may_take(self, line: bytes) -> bool:
        """Whether a results line may be of an image that is asked for, without parsing it: that is most of a search.

        A line whose name or reason spells another outcome passes, and is then judged by `takes`.
        """
        return self.kind == "all" or any(f'"{outcome}"'.encode() in line for outcome in KINDS[self.kind])

    def query(self) -> dict[str, str]:
        """As the form would send it; only what differs from asking for all."""
        fields = {
            "outcome": "" if self.kind == "all" else self.kind,
            "chunk": "" if self.chunk is None else str(self.chunk),
            "least": f"{self.least:g}" if self.least > 0 else "",
            "most": f"{self.most:g}" if self.most < 100 else "",
        }
        return {name: value for name, value in fields.items() if value}


def _number(query: Mapping[str, str], name: str, most: int) -> float | None:
    text = query.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise GalleryError(f"{name} = {text[:40]!r} is not a number from 0 to {most}; correct it in the form")
    return number
