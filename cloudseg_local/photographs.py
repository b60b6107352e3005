"""Uploads photographs for the demo, two broken ones among them."""

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
"""Generated scenes of a demo, unless a person says how many."""


def upload_photographs(store: Store, images: Path | None, count: int | None) -> int:
    """Upload a folder's images, or generated scenes, and the broken ones.

    Args:
        store: The emulator.
        images: Folder to take images from, with its subfolders; None: generated scenes.
        count: How many at most; None: all of a folder, or `SCENES` generated ones.

    Returns:
        How many objects were uploaded, the broken ones included.

    Raises:
        LocalError: The folder is not there, or has no image.
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
    """Names of the images below a folder, relative to it, sorted.

    Raises:
        LocalError: The folder is not there, or has no image.
    """
    if not folder.is_dir():
        raise LocalError(f"IMAGES={folder}: there is no such folder")
    names = sorted(_names(folder))
    if not names:
        raise LocalError(f"IMAGES={folder}: no jpg, png, tif, webp or bmp file below it")
    return names


def _names(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and is_image_name(path.name):
            yield path.relative_to(folder).as_posix()


def _upload(store: Store, name: str, data: bytes) -> None:
    store.write(GcsUri(INPUT_BUCKET, name), data)
