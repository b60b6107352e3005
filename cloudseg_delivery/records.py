"""The records of an environment's releases: their contents, the good one, and those tried since."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from cloudseg_ops.contracts.errors import DeliveryError

KEPT = 10
"""Good releases that are kept to go back to."""
LONGEST_SECONDS = 3 * 3600
"""A delivery that began longer ago has died: a change of packages and a smoke test, twice, take less."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release as deployed to an environment.

    Attributes:
        name: Version and commit.
        version: Of cloudseg.
        commit: 40 hex digits.
        image: The engine's image, by tag and digest.
        packages: PyPI packages and their pins.
        variables: The environment's variables, CLOUDSEG_IMAGE among them.
        files: Path below the bucket → SHA-256 of its bytes.
    """

    name: str
    version: str
    commit: str
    image: str
    packages: Mapping[str, str]
    variables: Mapping[str, str]
    files: Mapping[str, str]

    def to_json(self) -> str:
        """As the record in the environment's bucket."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Release:
        """Read the record.

        Raises:
            DeliveryError: It is none.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise DeliveryError(f"the record of a release is not readable ({error}): {text[:200]!r}") from None


@dataclass(frozen=True, slots=True)
class State:
    """The state of an environment.

    Attributes:
        good: Name of the last release whose smoke test passed; None: there was none yet.
        tried: Names of releases begun since, whose end nobody has written down.
        history: Names of good releases, the oldest first; `good` is the last.
        since: When the delivery that is under way began, Unix time in seconds; None: none is.
        held: Whether a delivery has paused the DAG and not yet unpaused it.
    """

    good: str | None = None
    tried: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    since: float | None = None
    held: bool = False

    def to_json(self) -> str:
        """As the record in the environment's bucket."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> State:
        """Read the record.

        Raises:
            DeliveryError: It is none.
        """
        try:
            known = json.loads(text)
            return cls(
                known["good"], tuple(known["tried"]), tuple(known["history"]), known["since"], bool(known.get("held"))
            )
        except (ValueError, TypeError, KeyError) as error:
            raise DeliveryError(f"the record of releases is not readable ({error}): {text[:200]!r}") from None

    def under_way(self, now: float) -> bool:
        """Whether another delivery is probably in progress."""
        return self.since is not None and now - self.since < LONGEST_SECONDS

    def begun(self, name: str, now: float) -> State:
        """The state while a release is being deployed."""
        return replace(self, tried=(*(tried for tried in self.tried if tried != name), name), since=now)

    def succeeded(self, name: str) -> State:
        """The state once a release has proven good; for one of the history, what followed it is no longer of it."""
        earlier = self.history[: self.history.index(name)] if name in self.history else self.history
        return State(name, (), (*earlier, name)[-KEPT:])

    def rolled_back(self) -> State:
        """The state once the last good release is in use again."""
        return replace(self, tried=(), since=None, held=False)

    def given_up(self) -> State:
        """The state when it is unknown what is active and nothing is in progress. A paused DAG stays paused."""
        return replace(self, since=None)

    def forgotten(self, later: State) -> list[str]:
        """Releases of this state that a later state does not need for a rollback."""
        return sorted({*self.history, *self.tried} - {*later.history, *later.tried})

    def way_back(self, name: str) -> str | None:
        """The release to go back to when `name` fails; None: there is none, or it is `name` itself."""
        return self.good if self.good != name else None

    def before(self) -> str | None:
        """The release to go back to by hand; None: there is none.

        After a delivery that came to no good end it is the last good one, and otherwise the one before that.
        """
        if self.tried:
            return self.good
        return self.history[-2] if len(self.history) > 1 else None

    def known(self) -> tuple[str, ...]:
        """Every release whose files, packages and variables may be in the environment now."""
        return (*((self.good,) if self.good else ()), *(name for name in self.tried if name != self.good))


def owned_files(releases: Iterable[Release]) -> set[str]:
    """Files that these releases added to the bucket."""
    return {file for release in releases for file in release.files}
