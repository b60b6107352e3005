"""Uploads photographs for the demo, including two broken ones."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cloudseg_local.samples import broken_photographs, write_photographs
from cloudseg_local.state import INPUT_BUCKET
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.contracts.objects import is_image_name
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store

SCENES = 24
"""Default number of generated scenes."""


def upload_photographs(store: Store, images: Path | None, count: int | None) -> int:
    """Upload the images of a folder, or generated scenes, and two broken files.

    Args:
        store: The emulator.
        images: Folder of images, searched recursively; None uses generated scenes.
        count: Maximum number of images; None uploads all of a folder, or `SCENES` generated ones.

    Returns:
        The number of uploaded objects, including the broken files.

    Raises:
        LocalError: The folder does not exist or contains no image.
    """
    broken = broken_photographs()
    with tempfile.TemporaryDirectory(prefix="cloudseg-scenes-") as temporary:
        if images is None:
            folder = Path(temporary)
            names = [path.relative_to(folder).as_posix() for path in write_photographs(folder, count or SCENES)]
        else:
            folder = images
            names = find_images(images)[:count]
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(lambda name: _upload(store, name, (folder / name).read_bytes()), names))
            list(pool.map(lambda item: _upload(store, f"broken/{item[0]}", item[1]), broken.items()))
    return len(names) + len(broken)


def find_images(folder: Path) -> list[str]:
    """Return the sorted names of the images in a folder and its subfolders, relative to the folder.

    Raises:
        LocalError: The folder does not exist or contains no image.
    """
    if not folder.is_dir():
        raise LocalError(f"IMAGES={folder}: no such folder")
    names = sorted(_names(folder))
    if not names:
        raise LocalError(f"IMAGES={folder}: no jpg, png, tif, webp or bmp file in this folder or below")
    return names


def _names(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and is_image_name(path.name):
            yield path.relative_to(folder).as_posix()


def _upload(store: Store, name: str, data: bytes) -> None:
    store.write(GcsUri(INPUT_BUCKET, name), data)
