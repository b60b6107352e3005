"""Computes the changes to an environment's packages and variables; never touches those that cloudseg did not set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cloudseg_ops.contracts.errors import DeliveryRefusedError

_PIN = re.compile(r"([a-z0-9][a-z0-9-]*)(\[[a-z0-9,-]+\])?(==[0-9][0-9A-Za-z.!+-]*)")
# Candidate separators for gcloud's mappings; its default, a comma, occurs in many values.
_DELIMITERS = ";|~%&*!?"


@dataclass(frozen=True, slots=True)
class Change:
    """Changes to a mapping that others also write to.

    Attributes:
        set: Keys to add or change, with their values.
        remove: Keys to remove.
    """

    set: Mapping[str, str]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.set or self.remove)

    @property
    def first(self) -> Change:
        """The part to apply before the files that need it are copied."""
        return Change(self.set, ())

    @property
    def last(self) -> Change:
        """The part to apply after the files that needed it are gone."""
        return Change({}, self.remove)


def change(current: Mapping[str, str], wanted: Mapping[str, str], owned: Iterable[str]) -> Change:
    """Return the change from the current to the wanted mapping.

    Args:
        current: The environment's mapping.
        wanted: The release's mapping.
        owned: Keys set by earlier releases; only these are removed when no longer wanted.
    """
    return Change(
        {key: value for key, value in sorted(wanted.items()) if current.get(key) != value},
        tuple(sorted(key for key in set(owned) if key in current and key not in wanted)),
    )


def gone(owned: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return the files of earlier releases that a release no longer has, sorted."""
    return sorted(set(owned) - set(wanted))


def read_requirements(text: str) -> dict[str, str]:
    """Parse requirements.txt into Composer's form: `dvc==3.67.1` becomes `{"dvc": "==3.67.1"}`.

    Raises:
        DeliveryRefusedError: A line is not an exact pin of a package in lower case. Composer would resolve versions
            itself, for up to half an hour.
    """
    packages: dict[str, str] = {}
    for line in text.splitlines():
        requirement = line.partition("#")[0].strip()
        if not requirement:
            continue
        if not (found := _PIN.fullmatch(requirement)):
            raise DeliveryRefusedError(f"requirements.txt: {requirement!r} is not an exact pin such as dvc==3.67.1")
        packages[found[1]] = f"{found[2] or ''}{found[3]}"
    return packages


def pairs_argument(pairs: Mapping[str, str]) -> str:
    """Format a mapping as a gcloud argument (`gcloud topic escaping`), with a delimiter that occurs in no pair.

    Raises:
        DeliveryRefusedError: Every delimiter occurs in the pairs.
    """
    text = "".join(f"{key}{value}" for key, value in pairs.items())
    for delimiter in _DELIMITERS:
        if delimiter not in text:
            return f"^{delimiter}^" + delimiter.join(f"{key}={value}" for key, value in pairs.items())
    raise DeliveryRefusedError(
        f"the environment's variables contain all of the characters {_DELIMITERS}, and gcloud needs one that occurs in "
        "none of them: remove one"
    )
