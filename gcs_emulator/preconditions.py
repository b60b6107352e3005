"""The preconditions of the JSON API: generation and metageneration, of a target or a source.

Source: https://cloud.google.com/storage/docs/request-preconditions. A failed ``…Match`` is 412; a failed
``…NotMatch`` is 304 on a read and 412 on any other call. Generation 0 means that there is no live object; a
``GenerationNotMatch`` then fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Versioned(Protocol):
    """An object or a bucket, whose metadata has a version."""

    @property
    def metageneration(self) -> int:
        """The version of the metadata."""


def integer(query: Mapping[str, str | int], key: str) -> int | None:
    """Return an integer query parameter, or None if it is absent.

    Raises:
        ApiError: 400 if it is not a non-negative integer.
    """
    text = str(query.get(key, ""))
    if text == "":
        return None
    if not (text.isascii() and text.isdigit()):
        raise ApiError(400, f"Invalid value for {key}: {text!r} is not a non-negative integer.")
    return int(text)


@dataclass(frozen=True)
class Preconditions:
    """The preconditions of a call; None means that a condition is not set."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None
    read: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str | int], prefix: str = "if", *, read: bool = False) -> Preconditions:
        """Parse the preconditions of a call.

        Args:
            query: the query parameters.
            prefix: ``if`` for the target, ``ifSource`` for the source of a rewrite.
            read: whether the call is a read, for which a failed ``…NotMatch`` is 304.
        """
        return cls(
            generation_match=integer(query, f"{prefix}GenerationMatch"),
            generation_not_match=integer(query, f"{prefix}GenerationNotMatch"),
            metageneration_match=integer(query, f"{prefix}MetagenerationMatch"),
            metageneration_not_match=integer(query, f"{prefix}MetagenerationNotMatch"),
            read=read,
        )

    def check(self, generation: int, live: Versioned | None) -> None:
        """Check the preconditions against the live version; ``generation`` is 0 if there is none.

        Raises:
            ApiError: 412, or 304 for a ``NotMatch`` on a read.
        """
        metageneration = live.metageneration if live is not None else 0
        self._match("generation", self.generation_match, generation)
        self._match("metageneration", self.metageneration_match, metageneration)
        if generation == 0 and self.generation_not_match is not None:
            raise ApiError(self._unchanged, "At least one of the pre-conditions you specified did not hold: no object.")
        self._not_match("generation", self.generation_not_match, generation)
        if live is not None:
            self._not_match("metageneration", self.metageneration_not_match, metageneration)

    @property
    def _unchanged(self) -> int:
        return 304 if self.read else 412

    def _match(self, what: str, wanted: int | None, actual: int) -> None:
        if wanted is not None and wanted != actual:
            raise ApiError(412, f"At least one of the pre-conditions you specified did not hold: "
                                f"expected {what} {wanted}, found {actual}.")  # fmt: skip

    def _not_match(self, what: str, unwanted: int | None, actual: int) -> None:
        if unwanted is not None and unwanted == actual:
            status = 304 if self.read else 412
            raise ApiError(status, f"At least one of the pre-conditions you specified did not hold: "
                                   f"{what} is {actual}.")  # fmt: skip
