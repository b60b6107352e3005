"""Removes from an installed PyTorch what removed.toml lists."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .elf import SharedObject
from .stand_in import stand_in

_LIST = Path(__file__).with_name("removed.toml")
_ALL = "all"


class PruneError(Exception):
    """The list does not fit what is installed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of removed.toml.

    Attributes:
        paths: Patterns (`Path.glob`) below site-packages; each has to match something.
        reason: Why inference on one GPU does without.
        replace: Whether a stand-in takes the place of each library, because others are linked against it.
        features: The features that need it: the entry is ignored when one of them is to be kept.
        variants: The variants of the image for which the entry is meant.
    """

    paths: tuple[str, ...]
    reason: str
    replace: bool
    features: frozenset[str]
    variants: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What an entry removed.

    Attributes:
        entry: The entry.
        size: Bytes that are gone.
    """

    entry: Entry
    size: int


def read_entries(path: Path = _LIST) -> list[Entry]:
    """Read the list."""
    document = tomllib.loads(path.read_text("utf-8"))
    return [
        Entry(
            paths=tuple(entry["paths"]),
            reason=entry["reason"],
            replace=entry.get("replace", False),
            features=frozenset(entry.get("features", ())),
            variants=frozenset(entry.get("variants", ("cuda",))),
        )
        for entry in document["entry"]
    ]


def selected(entries: Iterable[Entry], variant: str, keep: Iterable[str] = ()) -> list[Entry]:
    """Select the entries for a variant of the image, without those that a feature to keep needs.

    Args:
        entries: All entries.
        variant: cpu or cuda.
        keep: Names of features; `all` keeps every library of CUDA's and PyTorch's.

    Raises:
        PruneError: No entry knows one of the features.
    """
    entries, kept = list(entries), frozenset(keep)
    known = frozenset().union(*(entry.features for entry in entries))
    if kept - known - {_ALL}:
        wrong = ", ".join(sorted(kept - known - {_ALL}))
        raise PruneError(f"KEEP: no feature {wrong}; there are {_ALL}, {', '.join(sorted(known))}")
    if _ALL in kept:
        # The entries that both variants leave out are not libraries.
        return [entry for entry in entries if {"cpu", "cuda"} <= entry.variants]
    return [entry for entry in entries if variant in entry.variants and not entry.features & kept]


def matches(entry: Entry, root: Path, *, strict: bool = True) -> list[Path]:
    """Find the files and folders of an entry.

    Args:
        entry: The entry.
        root: The site-packages folder.
        strict: Whether a pattern without a match is an error.

    Raises:
        PruneError: A pattern matches nothing.
    """
    found: list[Path] = []
    for pattern in entry.paths:
        matched = sorted(root.glob(pattern))
        if strict and not matched:
            raise PruneError(f"{pattern} matches nothing in {root}: PyTorch has changed; adapt {_LIST.name}")
        found += matched
    return found


def prune(root: Path, entries: Iterable[Entry]) -> list[Pruned]:
    """Remove what the entries name, and write the stand-ins.

    Nothing is touched unless every pattern matches.
    """
    plan = [(entry, matches(entry, root)) for entry in entries]
    return [Pruned(entry, sum(_remove(path, entry) for path in paths)) for entry, paths in plan]


def library_stand_in(path: Path, features: Iterable[str]) -> bytes:
    """Make the stand-in of a library, from the symbols that the library exports.

    Args:
        path: The library.
        features: The features that need it, for the message.
    """
    library = SharedObject.read(path)
    names = " or KEEP=".join(sorted(features))
    remedy = f"build it with KEEP={names}" if names else "inference on one GPU does not need it"
    return stand_in(library.soname or path.name, library.functions, remedy)


def _remove(path: Path, entry: Entry) -> int:
    """Remove a file or folder and return how many bytes are gone; one that went with its parent counts nothing."""
    if not path.exists():
        return 0
    if path.is_dir():
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        shutil.rmtree(path)
        return size
    size = path.stat().st_size
    if not entry.replace:
        path.unlink()
        return size
    content = library_stand_in(path, entry.features)
    path.unlink()  # never written in place: another name may lead to the same file
    path.write_bytes(content)
    path.chmod(0o755)
    return size - len(content)
