"""The result of a clean-up: what happened to each input version, and which proven inputs could not be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from cloudseg_ops.contracts.errors import DeletesRefusedError, InputsNotDeletedError
from cloudseg_ops.storage import Deletion

_NAMED = 20
"""Maximum number of names kept per outcome."""
_LONGEST_REASON = 500


class Cleaned(StrEnum):
    """The result of clean-up for an input version."""

    DELETED = "deleted"
    ARCHIVED = "archived"
    """Copied to the archive, then deleted."""
    KEPT = "kept"
    """Proven, but kept in INPUT as the run's settings demand."""
    LEFT = "left"
    """Still in INPUT, because there is no proof for it."""
    GONE = "gone"
    """No longer in INPUT: deleted by an earlier try, by another run or by a user."""
    CHANGED = "changed"
    """Replaced by a newer version, which stays for the next run."""
    HELD = "held"
    """Proven, but kept in INPUT by a hold."""
    RETAINED = "retained"
    """Proven, but kept in INPUT by a retention policy."""
    FORBIDDEN = "forbidden"
    """Proven, but the identity may not delete or archive it."""
    FAILED = "failed"
    """Proven, but Cloud Storage failed to delete or archive it until the retries ended."""


_REFUSED = {
    Cleaned.HELD: "under a hold",
    Cleaned.RETAINED: "under a retention policy",
    Cleaned.FORBIDDEN: "forbidden",
    Cleaned.FAILED: "failed",
}
REFUSALS = {
    Deletion.HELD: Cleaned.HELD,
    Deletion.RETAINED: Cleaned.RETAINED,
    Deletion.FORBIDDEN: Cleaned.FORBIDDEN,
    Deletion.FAILED: Cleaned.FAILED,
}
"""What clean-up makes of a delete that did not take place."""


@dataclass(frozen=True, slots=True)
class NotDeleted:
    """Proven inputs that could not be deleted or archived, for one kind of reason.

    Attributes:
        count: Number of input versions.
        names: The first 20 of their names.
        reason: Cloud Storage's message for the first of them.
    """

    count: int
    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class CleanUp:
    """The result of a clean-up.

    Attributes:
        counts: Number of input versions for each value of `Cleaned`.
        not_deleted: Proven inputs that are still in INPUT against the settings, by outcome.
    """

    counts: Mapping[str, int]
    not_deleted: Mapping[str, NotDeleted] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        """Number of proven inputs that could not be deleted or archived."""
        return sum(group.count for group in self.not_deleted.values())

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"counts": dict(self.counts), "not_deleted": {key: asdict(g) for key, g in self.not_deleted.items()}}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> CleanUp:
        """Read the result of `to_json`."""
        groups = {
            key: NotDeleted(int(group["count"]), tuple(group["names"]), str(group["reason"]))
            for key, group in found.get("not_deleted", {}).items()
        }
        return cls({key: int(count) for key, count in found.get("counts", {}).items()}, groups)

    def describe(self) -> str:
        """Describe the inputs that could not be deleted: `2 under a hold (a.jpg, b.jpg: Object …)`; empty if none."""
        return "; ".join(
            f"{group.count:,} {_REFUSED[Cleaned(outcome)]} ({_names(group)}: {group.reason or 'no reason was given'})"
            for outcome, group in self.not_deleted.items()
        )

    def check(self) -> None:
        """Raise an error if proven inputs could not be deleted.

        Raises:
            DeletesRefusedError: Cloud Storage refused them all; a retry would be refused, too.
            InputsNotDeletedError: Some failed for a reason that may pass.
        """
        if not self.refused:
            return
        kind = InputsNotDeletedError if Cleaned.FAILED in self.not_deleted else DeletesRefusedError
        raise kind(
            f"{self.refused:,} proven inputs could not be deleted or archived: {self.describe()}. All other inputs of "
            "the run are cleaned up, and no input is lost"
        )


class Refusals:
    """Collects the inputs that could not be deleted, in bounded memory."""

    def __init__(self) -> None:
        self._groups: dict[Cleaned, NotDeleted] = {}

    def add(self, refused: Iterable[tuple[str, Cleaned, str]]) -> None:
        """Add inputs: their names, outcomes, and Cloud Storage's messages."""
        for name, outcome, reason in refused:
            group = self._groups.get(outcome, NotDeleted(0, (), reason))
            names = group.names if len(group.names) >= _NAMED else (*group.names, name)
            self._groups[outcome] = NotDeleted(group.count + 1, names, group.reason[:_LONGEST_REASON])

    def count(self, outcome: Cleaned) -> int:
        """Return the number of inputs with an outcome."""
        group = self._groups.get(outcome)
        return group.count if group else 0

    def groups(self) -> dict[str, NotDeleted]:
        """Return the collected inputs by outcome."""
        return {outcome.value: self._groups[outcome] for outcome in _REFUSED if outcome in self._groups}


def _names(group: NotDeleted) -> str:
    more = group.count - len(group.names)
    return ", ".join(group.names) + (f" and {more:,} more" if more else "")
