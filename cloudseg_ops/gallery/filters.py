"""The gallery's filter by outcome, chunk and cloud fraction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.gallery.errors import GalleryError

KINDS: Final[Mapping[str, frozenset[Outcome]]] = {
    "all": frozenset(Outcome),
    "masked": frozenset({Outcome.DONE, Outcome.SKIPPED}),
    "done": frozenset({Outcome.DONE}),
    "skipped": frozenset({Outcome.SKIPPED}),
    "quarantined": frozenset({Outcome.QUARANTINED}),
    "vanished": frozenset({Outcome.VANISHED}),
    "changed": frozenset({Outcome.CHANGED}),
    "unreadable": frozenset({Outcome.UNREADABLE}),
}
"""The kinds of images that can be selected, and their outcomes."""
_MAX_CHUNKS = 99_999


@dataclass(frozen=True, slots=True)
class Filter:
    """A selection of images.

    Images without a mask are left out as soon as `least` or `most` restricts the cloud fraction.

    Attributes:
        kind: A key of `KINDS`.
        chunk: Index of a chunk; None: all chunks.
        least: Minimum cloud fraction, in percent.
        most: Maximum cloud fraction, in percent.
    """

    kind: str = "all"
    chunk: int | None = None
    least: float = 0.0
    most: float = 100.0

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Filter:
        """Parse the fields of the gallery's form; an empty field does not restrict the selection.

        Raises:
            GalleryError: A field has an invalid value.
        """
        kind = query.get("outcome", "") or "all"
        if kind not in KINDS:
            raise GalleryError(f"outcome = {kind[:40]!r} is not one of {', '.join(KINDS)}; choose one in the form")
        chunk = _number(query, "chunk", _MAX_CHUNKS)
        if chunk is not None and chunk != int(chunk):
            raise GalleryError(f"chunk = {chunk:g} is not a whole number; chunks are numbered from 0")
        least, most = _number(query, "least", 100), _number(query, "most", 100)
        return cls(
            kind,
            None if chunk is None else int(chunk),
            0.0 if least is None else least,
            100.0 if most is None else most,
        )

    @property
    def by_cover(self) -> bool:
        """Whether the cloud fraction is restricted."""
        return self.least > 0 or self.most < 100

    def takes(self, result: Result) -> bool:
        """Return whether an image is selected."""
        if result.outcome not in KINDS[self.kind]:
            return False
        if not self.by_cover:
            return True
        fraction = result.cloud_fraction
        return fraction is not None and self.least <= 100 * fraction <= self.most

    def may_match(self, line: bytes) -> bool:
        """Return whether the image of a results line may be selected, without parsing the line, which would be slow.

        A name or reason that contains the name of an outcome may cause a false positive; `takes` then decides.
        """
        return self.kind == "all" or any(f'"{outcome}"'.encode() in line for outcome in KINDS[self.kind])

    def query(self) -> dict[str, str]:
        """Return the form's fields for this filter, without those that do not restrict the selection."""
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
