"""scripts/check-words.py finds each banned phrase, and says where it is and what to write instead."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cloudseg_local.state import REPOSITORY

SCRIPT = REPOSITORY / "scripts" / "check-words.py"
BANNED = tomllib.loads((REPOSITORY / "scripts" / "banned-words.toml").read_text("utf-8"))["banned"]


def check(*files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, files)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("entry", BANNED, ids=lambda entry: str(entry["words"]))
def test_example_of_each_phrase_is_found(entry: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"# A page\n\n{entry['example']}\n")
    done = check(file)
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{file}:3: ")
    assert line.endswith(f"write {entry['write']}")


def test_phrase_across_two_comment_lines_is_found(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    first, second = BANNED[0]["example"].rsplit(" ", 1)
    file.write_text(f"# {first}\n# {second}\n")
    assert check(file).stdout.startswith(f"{file}:1: ")


def test_plain_english_and_identifiers_pass(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text('"""Each process has its own lock; there is no larger one."""\n\nbeside = None\n')
    done = check(file)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_repository_passes() -> None:
    done = check()
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
