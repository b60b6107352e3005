"""Removes the files listed in removed.toml from an installed PyTorch."""

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
    """The list does not match the installed packages."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of removed.toml.

    Attributes:
        paths: Patterns (`Path.glob`) below site-packages; each must match something.
        reason: Why inference on one GPU does not need the files.
        replace: Whether to replace each library by a stand-in, because others are linked against it.
        features: Features that need the files; the entry is ignored if one of them is kept.
        variants: Image variants to which the entry applies.
    """

    paths: tuple[str, ...]
    reason: str
    replace: bool
    features: frozenset[str]
    variants: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pruned:
    """The result of removing an entry.

    Attributes:
        entry: The entry.
        size: Bytes removed.
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
    """Return the entries that apply to an image variant, without those needed by features to keep.

    Args:
        entries: All entries.
        variant: cpu or cuda.
        keep: Features to keep; `all` keeps every library of CUDA and PyTorch.

    Raises:
        PruneError: A feature is unknown.
    """
    entries, kept = list(entries), frozenset(keep)
    known = frozenset().union(*(entry.features for entry in entries))
    if kept - known - {_ALL}:
        wrong = ", ".join(sorted(kept - known - {_ALL}))
        raise PruneError(f"KEEP: no feature {wrong}; there are {_ALL}, {', '.join(sorted(known))}")
    if _ALL in kept:
        # Entries for both variants are not libraries.
        return [entry for entry in entries if {"cpu", "cuda"} <= entry.variants]
    return [entry for entry in entries if variant in entry.variants and not entry.features & kept]


def matches(entry: Entry, root: Path, *, strict: bool = True) -> list[Path]:
    """Return the files and folders that an entry matches.

    Args:
        entry: The entry.
        root: The site-packages folder.
        strict: Whether a pattern without a match is an error.

    Raises:
        PruneError: A pattern matches nothing, and `strict` is set.
    """
    found: list[Path] = []
    for pattern in entry.paths:
        matched = sorted(root.glob(pattern))
        if strict and not matched:
            raise PruneError(f"{pattern} matches nothing in {root}: PyTorch has changed; adapt {_LIST.name}")
        found += matched
    return found


def prune(root: Path, entries: Iterable[Entry]) -> list[Pruned]:
    """Remove the files of the entries, write the stand-ins, and return the sizes.

    Nothing is changed unless every pattern matches.
    """
    plan = [(entry, matches(entry, root)) for entry in entries]
    return [Pruned(entry, sum(_remove(path, entry) for path in paths)) for entry, paths in plan]


def library_stand_in(path: Path, features: Iterable[str]) -> bytes:
    """Return a stand-in that exports the same symbols as a library.

    Args:
        path: The library.
        features: Features that need the library, for the error message.
    """
    library = SharedObject.read(path)
    names = " or KEEP=".join(sorted(features))
    remedy = f"build it with KEEP={names}" if names else "inference on one GPU does not need it"
    return stand_in(library.soname or path.name, library.functions, remedy)


def _remove(path: Path, entry: Entry) -> int:
    """Remove a file or folder and return its size; 0 if it was removed with its parent."""
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
    path.unlink()  # not overwritten in place, because the file may have hard links
    path.write_bytes(content)
    path.chmod(0o755)
    return size - len(content)
