from pathlib import Path

import numpy as np
import pytest
from augment import Augmenter
from data import CLEAR, CLOUD, UNDEFINED, Example, blocks, drop_near_duplicates, generate, read_folder
from PIL import Image


def write(folder: Path, stem: str, mask: list[list[int]], size: tuple[int, int] = (3, 1)) -> None:
    for name in ("images", "masks"):
        (folder / name).mkdir(exist_ok=True)
    Image.new("RGB", size).save(folder / "images" / f"{stem}.jpg")
    Image.fromarray(np.array(mask, np.uint8)).save(folder / "masks" / f"{stem}.png")


def test_folder_is_read_in_order_and_masks_are_translated(tmp_path: Path) -> None:
    write(tmp_path, "b", [[255, 100, 0]])
    write(tmp_path, "a", [[0, 0, 0]])
    first, second = read_folder(tmp_path)

    assert (first.name, second.name) == ("a", "b")
    assert second.label.tolist() == [[CLOUD, CLEAR, UNDEFINED]]


def test_unknown_mask_values_are_named(tmp_path: Path) -> None:
    write(tmp_path, "a", [[255, 7, 0]])
    with pytest.raises(ValueError, match=r"\[7\]"):
        read_folder(tmp_path)


def test_mask_of_another_size_is_rejected(tmp_path: Path) -> None:
    write(tmp_path, "a", [[255, 100, 0]], size=(4, 4))
    with pytest.raises(ValueError, match="make them equal"):
        read_folder(tmp_path)


def test_folder_without_images_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="images"):
        read_folder(tmp_path)


def test_blocks_are_contiguous_and_hold_each_index_once() -> None:
    assert blocks(7, 3) == [[0, 1, 2], [3, 4], [5, 6]]


def test_twins_of_held_out_pictures_are_not_trained_on() -> None:
    first, second = generate(2, seed=0)
    darker = Example("darker", (first.image * 0.97).astype(np.uint8), first.label)

    assert drop_near_duplicates([darker, second], [first]) == [second]


def test_crops_carry_label_with_image() -> None:
    # The image shows its label, so they must agree after every rotation and scaling.
    label = np.zeros((200, 240), np.uint8)
    label[40:150, 60:200] = CLOUD
    picture = Example("square", np.repeat(label[..., None] * 255, 3, axis=2).astype(np.uint8), label)
    rng, cut = np.random.default_rng(0), Augmenter(side=64)
    for _ in range(20):
        image, crop = cut(picture, rng)
        assert image.shape == (3, 64, 64)
        assert 0 <= float(image.min()) <= float(image.max()) <= 1
        defined = crop != UNDEFINED
        assert set(np.unique(crop.numpy()).tolist()) <= {CLEAR, CLOUD, UNDEFINED}
        agree = ((image.mean(dim=0) > 0.25) == (crop == CLOUD))[defined]
        assert agree.float().mean() > 0.95
