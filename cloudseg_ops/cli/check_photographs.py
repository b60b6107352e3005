"""The photographs of a local folder, as the objects of an input bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.objects import IMAGE_TYPES, InputObject, is_ignored, is_image_name
from cloudseg_ops.storage.folder_store import GENERATION


@dataclass(frozen=True, slots=True)
class Photographs:
    """The photographs of a folder that a check uses.

    Attributes:
        taken: The input versions.
        found: Number of photographs in the folder.
        not_taken: Number of other files.
    """

    taken: Sequence[InputObject]
    found: int
    not_taken: int


def find_photographs(folder: Path, count: int, types: Sequence[str] = IMAGE_TYPES) -> Photographs:
    """Return photographs of a folder and its subfolders, by the rules that a run applies to the input bucket.

    Args:
        folder: The folder.
        count: Maximum number of photographs; if there are more, they are chosen evenly.
        types: Their extensions, in lower case.

    Raises:
        SettingsError: There are none.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    images = [name for name in names if is_image_name(name, types)]
    if not images:
        found = f"{len(files)} other files" if files else "no files" if folder.is_dir() else "no such folder"
        raise SettingsError(f"{folder} has no photographs ({', '.join(types)}): {found}; correct --images")
    chosen = images if len(images) <= count else [images[index * len(images) // count] for index in range(count)]
    # Without a checksum, as in a listing of a bucket with a default Cloud KMS key.
    taken = [InputObject(name, GENERATION, names[name].stat().st_size, "") for name in chosen]
    return Photographs(taken, len(images), sum(not is_ignored(name) for name in names) - len(images))
