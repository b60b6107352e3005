"""Sample photographs for the demo: generated scenes in several file formats, and deliberately broken files."""

import io
from pathlib import Path

from PIL import Image

from cloudseg_local.scenes import make_scene

_SIZES = ((333, 250), (320, 320), (640, 427), (256, 256), (401, 301), (240, 320), (512, 384))
_FORMATS = (".jpg", ".png", ".webp", ".tif")
_EXIF_ORIENTATION = 0x0112


def write_photographs(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write scenes as JPEG, PNG, WebP and TIFF in turn, in several sizes, every sixth one in grey.

    The first is a JPEG stored rotated, with an EXIF orientation that turns it upright.

    Args:
        folder: Folder to write to; created if missing.
        count: Number of files.
        seed: Seed of the first scene; each further scene uses the next seed.

    Returns:
        The files, in order: `sky-0000.jpg`, `sky-0001.png`, …
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(count):
        width, height = _SIZES[index % len(_SIZES)]
        picture = Image.fromarray(make_scene(seed + index, width, height).image)
        if index % 6 == 5:
            picture = picture.convert("L")
        exif = Image.Exif()
        if index == 0:
            picture = picture.transpose(Image.Transpose.ROTATE_90)
            exif[_EXIF_ORIENTATION] = 6
        path = folder / f"sky-{index:04}{_FORMATS[index % len(_FORMATS)]}"
        picture.save(path, quality=90, exif=exif)
        paths.append(path)
    return paths


def broken_photographs() -> dict[str, bytes]:
    """Return unreadable files with image names, by name: a truncated JPEG, and text."""
    whole = io.BytesIO()
    Image.fromarray(make_scene(1, 320, 240).image).save(whole, "JPEG")
    return {
        "broken-truncated.jpg": whole.getvalue()[: len(whole.getvalue()) // 2],
        "broken-text.png": b"This is a note about the sky, not a picture of it.\n",
    }
