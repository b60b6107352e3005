"""Records about an environment's releases: what each contains, which one is good, which were tried since."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from cloudseg_ops.contracts.errors import DeliveryError

KEPT = 10
"""Number of good releases that are kept for rollbacks."""
MAX_DELIVERY_SECONDS = 3 * 3600
"""Age after which a delivery counts as dead; two package changes and two smoke tests take less."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release as it was deployed to an environment.

    Attributes:
        name: Version and commit.
        version: Version of cloudseg.
        commit: Commit, 40 hex digits.
        image: The engine's image, with tag and digest.
        packages: PyPI packages and their pins.
        variables: The environment's variables, including CLOUDSEG_IMAGE.
        files: Map from path in the bucket to the file's SHA-256.
    """

    name: str
    version: str
    commit: str
    image: str
    packages: Mapping[str, str]
    variables: Mapping[str, str]
    files: Mapping[str, str]

    def to_json(self) -> str:
        """Return the record as stored in the environment's bucket."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Release:
        """Parse the record.

        Raises:
            DeliveryError: The record is malformed.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise DeliveryError(f"the record of a release is not readable ({error}): {text[:200]!r}") from None


@dataclass(frozen=True, slots=True)
class State:
    """The state of an environment.

    Attributes:
        good: Name of the last release whose smoke test passed; None if there is none yet.
        tried: Names of releases whose delivery has started since, without a recorded end.
        history: Names of good releases, oldest first; `good` is the last.
        since: Start of the delivery in progress, Unix time in seconds; None if there is none.
        held: Whether a delivery has paused the DAG and not resumed it yet.
    """

    good: str | None = None
    tried: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    since: float | None = None
    held: bool = False

    def to_json(self) -> str:
        """Return the record as stored in the environment's bucket."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> State:
        """Parse the record.

        Raises:
            DeliveryError: The record is malformed.
        """
        try:
            known = json.loads(text)
            return cls(
                known["good"], tuple(known["tried"]), tuple(known["history"]), known["since"], bool(known.get("held"))
            )
        except (ValueError, TypeError, KeyError) as error:
            raise DeliveryError(f"the record of releases is not readable ({error}): {text[:200]!r}") from None

    def under_way(self, now: float) -> bool:
        """Return whether a delivery seems to be in progress at Unix time `now`."""
        return self.since is not None and now - self.since < MAX_DELIVERY_SECONDS

    def begun(self, name: str, now: float) -> State:
        """Return the state while a release is being deployed."""
        return replace(self, tried=(*(tried for tried in self.tried if tried != name), name), since=now)

    def succeeded(self, name: str) -> State:
        """Return the state after a release has succeeded; if it is in the history, later releases are dropped."""
        earlier = self.history[: self.history.index(name)] if name in self.history else self.history
        return State(name, (), (*earlier, name)[-KEPT:])

    def rolled_back(self) -> State:
        """Return the state after a rollback to the last good release."""
        return replace(self, tried=(), since=None, held=False)

    def given_up(self) -> State:
        """Return the state after a delivery ended without a known result; a paused DAG stays paused."""
        return replace(self, since=None)

    def obsolete_releases(self, later: State) -> list[str]:
        """Return the releases of this state that a later state no longer refers to."""
        return sorted({*self.history, *self.tried} - {*later.history, *later.tried})

    def rollback_target(self, name: str) -> str | None:
        """Return the release to roll back to if `name` fails; None if there is none, or it is `name` itself."""
        return self.good if self.good != name else None

    def before(self) -> str | None:
        """Return the release for a manual rollback; None if there is none.

        After an incomplete delivery this is the last good release, otherwise the one before it.
        """
        if self.tried:
            return self.good
        return self.history[-2] if len(self.history) > 1 else None

    def known(self) -> tuple[str, ...]:
        """Return all releases whose files, packages or variables may be in the environment."""
        return (*((self.good,) if self.good else ()), *(name for name in self.tried if name != self.good))


def owned_files(releases: Iterable[Release]) -> set[str]:
    """Return the files that these releases have put into the bucket."""
    return {file for release in releases for file in release.files}
