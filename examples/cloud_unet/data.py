"""Training examples: labelled photographs in a folder, and generated scenes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cloudseg_local.scenes import make_scene

CLEAR, CLOUD, UNDEFINED = 0, 1, 255
"""Values of a label. Undefined pixels are excluded from training and from all metrics."""

_MASK_VALUES = {100: CLEAR, 255: CLOUD, 0: UNDEFINED}
_THUMBNAIL = (40, 38)
_GENERATED_SIZES = ((320, 320), (352, 288), (288, 352))


@dataclass(frozen=True)
class Example:
    """A picture and its label.

    Attributes:
        name: The file's stem, or `scene-<seed>`.
        image: RGB, uint8, shape (H, W, 3).
        label: uint8, shape (H, W): `CLEAR`, `CLOUD` or `UNDEFINED`.
    """

    name: str
    image: npt.NDArray[np.uint8]
    label: npt.NDArray[np.uint8]


def read_folder(folder: Path) -> list[Example]:
    """Read `images/*` and `masks/<same stem>.png` of a folder, sorted by name.

    In masks, 255 is cloud, 100 clear sky and 0 undefined, as in the WSISEG database.

    Raises:
        FileNotFoundError: There are no images, or one has no mask.
        ValueError: A mask's size differs from its image's, or a mask has other values.
    """
    paths = sorted(path for path in (folder / "images").glob("*") if path.is_file())
    if not paths:
        raise FileNotFoundError(f"No file in {folder / 'images'}: --data needs a folder with images/ and masks/.")
    return [_read(path, folder / "masks" / f"{path.stem}.png") for path in paths]


def _read(path: Path, mask_path: Path) -> Example:
    image = np.asarray(Image.open(path).convert("RGB"))
    mask = np.asarray(Image.open(mask_path).convert("L"))
    if mask.shape != image.shape[:2]:
        raise ValueError(f"{mask_path} is {mask.shape[::-1]} pixels, its image {image.shape[1::-1]}: make them equal.")
    unknown = set(np.unique(mask).tolist()) - set(_MASK_VALUES)
    if unknown:
        raise ValueError(f"{mask_path} has {sorted(unknown)}: allowed are 255 (cloud), 100 (clear) and 0 (undefined).")
    table = np.full(256, UNDEFINED, np.uint8)
    for value, label in _MASK_VALUES.items():
        table[value] = label
    return Example(path.stem, image, table[mask])


def generate(count: int, seed: int) -> list[Example]:
    """Generate scenes `seed`, `seed + 1`, …; all their pixels are defined."""
    examples = []
    for index in range(seed, seed + count):
        scene = make_scene(index, *_GENERATED_SIZES[index % len(_GENERATED_SIZES)])
        examples.append(Example(f"scene-{index}", scene.image, scene.mask))
    return examples


def blocks(count: int, folds: int) -> list[list[int]]:
    """Split 0 … count - 1 into contiguous blocks whose lengths differ by at most one.

    They are contiguous because neighbors in a sequence of photographs resemble each other: with shuffled folds, near
    duplicates of held-out pictures would be in the training set.
    """
    return [part.tolist() for part in np.array_split(np.arange(count), folds)]


def drop_near_duplicates(
    training: list[Example], held_out: list[Example], min_difference: float = 16.0
) -> list[Example]:
    """Drop the training pictures that nearly equal a held-out picture.

    Args:
        training: Training pictures.
        held_out: Held-out pictures.
        min_difference: Minimum root mean square difference of two thumbnails, in grey levels (0–255).
    """
    held = np.stack([_thumbnail(example) for example in held_out])
    return [
        example
        for example in training
        if np.sqrt(((held - _thumbnail(example)) ** 2).mean(axis=1)).min() >= min_difference
    ]


def _thumbnail(example: Example) -> npt.NDArray[np.float32]:
    picture = Image.fromarray(example.image).resize(_THUMBNAIL, Image.Resampling.BOX)
    return np.asarray(picture, np.float32).ravel()
