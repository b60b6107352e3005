"""The Dockerfile as data, and the modules that the engine imports."""

import ast
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from cloudseg_local.state import REPOSITORY

DOCKERFILE = REPOSITORY / "docker" / "inference" / "Dockerfile"
PACKAGE = "cloudseg_ops"


def instructions() -> list[tuple[str, str]]:
    """The instructions with their arguments, in order, with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    parts = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return [(name.upper(), " ".join(rest.split())) for name, rest in parts]


def final_stage() -> list[tuple[str, str]]:
    """The instructions of the final stage."""
    every = instructions()
    last = max(index for index, (name, _) in enumerate(every) if name == "FROM")
    return every[last:]


def copied_modules() -> set[Path]:
    """The Python files of cloudseg in the image, relative to the repository."""
    sources = [
        REPOSITORY / source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
        if source.startswith(PACKAGE)
    ]
    files = (file for source in sources for file in (source.rglob("*.py") if source.is_dir() else [source]))
    return {file.relative_to(REPOSITORY) for file in files if file.suffix == ".py"}


def needed_modules() -> set[Path]:
    """The Python files that the engine imports, also inside functions, relative to the repository."""
    waiting = list((REPOSITORY / PACKAGE / "engine").rglob("*.py"))
    needed: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file.relative_to(REPOSITORY) not in needed:
            needed.add(file.relative_to(REPOSITORY))
            waiting += _files_of(_imports(file))
    return needed


def code_digest(root: Path, files: Iterable[Path]) -> str:
    """A digest of the names and contents of files."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.as_posix().encode() + b"\0" + (root / file).read_bytes())
    return digest.hexdigest()


def _imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{file}: a relative import, which this does not follow"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == PACKAGE}


def _files_of(names: Iterable[str]) -> list[Path]:
    """The files of dotted names: every parent package and the module; names in a module have no file."""
    files = []
    for name in names:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            place = REPOSITORY.joinpath(*parts[:length])
            files += [file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()]
    return files
