"""Lays out the delivered files as in a Composer bucket.

`dags/` contains the DAG files and the package, which is importable there. Composer's API server sees only `plugins/`,
so that folder contains a second copy of the package. Airflow would load every file below `plugins/` as a plugin and
search every file below `dags/` for DAGs; an ignore file inside the package prevents that without touching the bucket's
own ignore files.
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
# Matches every module name, whether Airflow reads ignore files as globs or as regular expressions.
_IGNORE = "[a-z_]*\n"
_COMMIT_PATH = "contracts/commit.py"
_COMMIT_FILE = '''"""The commit that this copy of cloudseg was deployed from; written by the deploy."""

COMMIT = "{commit}"
'''


def lay_out(root: Path, destination: Path, commit: str) -> dict[str, str]:
    """Write the delivered files to a folder, and return their digests.

    Args:
        root: The repository; files that git ignores are left out.
        destination: An empty folder, laid out like the bucket.
        commit: The commit to record, 40 hex digits; may be empty.

    Returns:
        Map from path in the bucket to the file's SHA-256.

    Raises:
        DeliveryRefusedError: `root` is not a git repository.
    """
    sources = _sources(root)
    placed = [(root / path, destination / path) for path in sources if _is_dag_or_plugin(path)]
    root_folders = [
        root_folder
        for root_folder in ROOTS
        if root_folder == "dags" or any(path.startswith(f"{root_folder}/") for path in sources)
    ]
    for root_folder in root_folders:
        placed += [(root / path, destination / root_folder / path) for path in sources if _is_delivered(path)]
    for source, place in placed:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
    for root_folder in root_folders:
        (destination / root_folder / PACKAGE / ".airflowignore").write_text(_IGNORE, "utf-8")
        commit_file = destination / root_folder / PACKAGE / _COMMIT_PATH
        commit_file.parent.mkdir(parents=True, exist_ok=True)
        commit_file.write_text(_COMMIT_FILE.format(commit=commit), "utf-8")
    return {
        path.relative_to(destination).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(destination.rglob("*"))
        if path.is_file()
    }


def _is_dag_or_plugin(path: str) -> bool:
    parts = PurePosixPath(path).parts
    # The top-level ignore files belong to the bucket's owner.
    return parts[0] in ROOTS and parts[-1] != ".airflowignore"


def packages_of(files: Iterable[str]) -> list[str]:
    """Return the package's folders among files: `dags/cloudseg_ops` and, with plugins, `plugins/cloudseg_ops`."""
    found = {"/".join(PurePosixPath(file).parts[:2]) for file in files}
    return [folder for folder in (f"{root}/{PACKAGE}" for root in ROOTS) if folder in found]


def files_outside_package(files: Iterable[str]) -> list[str]:
    """Return the files outside of the package's folders, sorted."""
    return sorted(file for file in files if PurePosixPath(file).parts[1] != PACKAGE)


def _is_delivered(path: str) -> bool:
    return PurePosixPath(path).parts[0] == PACKAGE


def _sources(root: Path) -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *ROOTS, PACKAGE]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise DeliveryRefusedError(f"{root} is not a git repository, which a release needs: {error}") from None
    return sorted({path for path in done.stdout.split("\0") if path and (root / path).is_file()})
