"""Rules for what a delivery changes in an environment: only what belongs to cloudseg."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cloudseg_ops.contracts.errors import DeliveryRefusedError

_PIN = re.compile(r"([a-z0-9][a-z0-9-]*)(\[[a-z0-9,-]+\])?(==[0-9][0-9A-Za-z.!+-]*)")
# One of these stands between the pairs of gcloud's mappings; a comma, its own choice, is in many values.
_DELIMITERS = ";|~%&*!?"


@dataclass(frozen=True, slots=True)
class Change:
    """The changes to a mapping that others write to as well.

    Attributes:
        set: Keys to add or to change, and their values.
        remove: Keys to take away.
    """

    set: Mapping[str, str]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.set or self.remove)

    @property
    def first(self) -> Change:
        """What to change before copying the files that need it."""
        return Change(self.set, ())

    @property
    def last(self) -> Change:
        """What to remove after the files that needed it."""
        return Change({}, self.remove)


def change(current: Mapping[str, str], wanted: Mapping[str, str], owned: Iterable[str]) -> Change:
    """Say what to set and to remove.

    Args:
        current: What the environment has.
        wanted: What a release wants.
        owned: Keys that earlier releases have set: those alone are removed when they are no longer wanted.
    """
    return Change(
        {key: value for key, value in sorted(wanted.items()) if current.get(key) != value},
        tuple(sorted(key for key in set(owned) if key in current and key not in wanted)),
    )


def gone(owned: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Files of earlier releases that a release no longer has."""
    return sorted(set(owned) - set(wanted))


def read_requirements(text: str) -> dict[str, str]:
    """Read requirements.txt as Composer names packages: `dvc==3.67.1` is `{"dvc": "==3.67.1"}`.

    Raises:
        DeliveryRefusedError: A line is not an exact pin of a package in lower case: Composer would search versions, for
            up to half an hour.
    """
    packages: dict[str, str] = {}
    for line in text.splitlines():
        requirement = line.partition("#")[0].strip()
        if not requirement:
            continue
        if not (found := _PIN.fullmatch(requirement)):
            raise DeliveryRefusedError(f"requirements.txt: {requirement!r} is not an exact pin, such as dvc==3.67.1")
        packages[found[1]] = f"{found[2] or ''}{found[3]}"
    return packages


def pairs_argument(pairs: Mapping[str, str]) -> str:
    """Write a mapping as gcloud reads one (`gcloud topic escaping`), with a delimiter that no value has.

    Raises:
        DeliveryRefusedError: The values have all of the delimiters.
    """
    text = "".join(f"{key}{value}" for key, value in pairs.items())
    for delimiter in _DELIMITERS:
        if delimiter not in text:
            return f"^{delimiter}^" + delimiter.join(f"{key}={value}" for key, value in pairs.items())
    raise DeliveryRefusedError(f"the environment's variables have all of {_DELIMITERS} in them; leave one of these out")
