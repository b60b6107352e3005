"""Reject unidiomatic phrases: `scripts/check-words.py [FILE…]`, by default every *.py and *.md file of the repository.

Prints file, line, the words found and what to write instead, and exits with 1 if it finds any. The phrases are in
scripts/banned-words.toml.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PHRASES = Path(__file__).with_name("banned-words.toml")


@dataclass(frozen=True)
class Phrase:
    """A banned phrase, what to write instead, and a sentence that contains it."""

    pattern: re.Pattern[str]
    write: str
    example: str


def read_phrases(path: Path = PHRASES) -> list[Phrase]:
    """Read the banned phrases. A space in one also matches a line break, with the `#` of a comment."""
    phrases = []
    for entry in tomllib.loads(path.read_text("utf-8"))["banned"]:
        words = entry["words"].replace(" ", r"[\s#]+")
        phrases.append(Phrase(re.compile(rf"\b(?:{words})\b", re.IGNORECASE), entry["write"], entry["example"]))
    return phrases


def check_text(text: str, phrases: list[Phrase]) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the words found and what to write instead."""
    for phrase in phrases:
        for found in phrase.pattern.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, " ".join(found[0].split()), phrase.write


def _files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.py", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [file for name in listed.stdout.split("\0") if name and (file := ROOT / name).is_file()]


def main(arguments: list[str]) -> int:
    """Check the files and return the exit code."""
    phrases = read_phrases()
    count = 0
    for file in [Path(name).resolve() for name in arguments] or _files():
        name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
        for line, words, write in sorted(check_text(file.read_text("utf-8"), phrases)):
            print(f'{name}:{line}: "{words}": write {write}')
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
