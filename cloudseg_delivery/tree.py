"""The delivered files, laid out as in a Composer bucket.

`dags/` has the DAG files and the package next to them, which Airflow's path finds there. Composer's API server sees
`plugins/` alone, so the package lies there too. Airflow would load each file below `plugins/` as a plugin and look into
each below `dags/` for DAGs: an ignore file inside the package keeps it out, and leaves the bucket's own to its owner.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from cloudseg_ops.contracts.errors import DeliveryRefusedError

PACKAGE = "cloudseg_ops"
ROOTS = ("dags", "plugins")
# Matches the name of every module, whether Airflow is set to read it as a glob or as a regular expression.
_IGNORE = "[a-z_]*\n"
_COMMIT_PATH = "contracts/commit.py"
_COMMIT_FILE = '''"""The commit that this copy of cloudseg is of; a deploy has written it."""

COMMIT = "{commit}"
'''


def lay_out(root: Path, destination: Path, commit: str) -> dict[str, str]:
    """Write the tree.

    Args:
        root: The repository; what git knows of it is taken, and what it does not ignore.
        destination: An empty folder, which becomes the bucket's.
        commit: 40 hex digits, or nothing.

    Returns:
        Path below the bucket → SHA-256 of the file's bytes.

    Raises:
        DeliveryRefusedError: It is not a git repository.
    """
    sources = _sources(root)
    placed = [(root / path, destination / path) for path in sources if _is_beside(path)]
    homes = [home for home in ROOTS if home == "dags" or any(path.startswith(f"{home}/") for path in sources)]
    for home in homes:
        placed += [(root / path, destination / home / path) for path in sources if _is_delivered(path)]
    for source, place in placed:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
    for home in homes:
        (destination / home / PACKAGE / ".airflowignore").write_text(_IGNORE, "utf-8")
        commit_file = destination / home / PACKAGE / _COMMIT_PATH
        commit_file.parent.mkdir(parents=True, exist_ok=True)
        commit_file.write_text(_COMMIT_FILE.format(commit=commit), "utf-8")
    return {
        path.relative_to(destination).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(destination.rglob("*"))
        if path.is_file()
    }


def _is_beside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    # The ignore file of a folder as a whole is the bucket's owner's.
    return parts[0] in ROOTS and parts[-1] != ".airflowignore"


def packages_of(files: Iterable[str]) -> list[str]:
    """The package's folders among a tree's files: `dags/cloudseg_ops`, and where there are plugins theirs."""
    found = {"/".join(PurePosixPath(file).parts[:2]) for file in files}
    return [folder for folder in (f"{root}/{PACKAGE}" for root in ROOTS) if folder in found]


def beside_packages(files: Iterable[str]) -> list[str]:
    """The tree's files outside of the package's folders, which lie among those of others."""
    return sorted(file for file in files if PurePosixPath(file).parts[1] != PACKAGE)


def _is_delivered(path: str) -> bool:
    return PurePosixPath(path).parts[0] == PACKAGE


def _sources(root: Path) -> list[str]:
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *ROOTS, PACKAGE]
    try:
        done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise DeliveryRefusedError(f"{root} is not a git repository, and a release is made from one: {error}") from None
    return sorted({path for path in done.stdout.split("\0") if path and (root / path).is_file()})
