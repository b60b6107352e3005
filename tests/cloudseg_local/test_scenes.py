import numpy as np
import numpy.typing as npt
import pytest

from cloudseg_local.scenes import make_scene


def test_scene_has_the_requested_shape_and_valid_values() -> None:
    scene = make_scene(3, 57, 40)

    assert scene.image.shape == (40, 57, 3)
    assert scene.mask.shape == (40, 57)
    assert scene.image.dtype == scene.mask.dtype == np.uint8
    assert set(np.unique(scene.mask)) <= {0, 1}


def test_scene_depends_only_on_its_seed() -> None:
    first, again, other = make_scene(5, 64, 48), make_scene(5, 64, 48), make_scene(6, 64, 48)

    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert not np.array_equal(first.image, other.image)


def test_scenes_vary_from_clear_to_overcast() -> None:
    shares = np.array([make_scene(seed, 64, 64).mask.mean() for seed in range(60)])

    assert (shares == 0).any()
    assert (shares > 0.9).any()
    assert ((shares > 0.1) & (shares < 0.7)).sum() >= 20


def test_cloud_is_less_blue_than_clear_sky_in_the_same_scene() -> None:
    def blueness(pixels: npt.NDArray[np.float64]) -> float:
        return float(np.mean(pixels[:, 2] - pixels[:, 0], dtype=float))

    scenes = [make_scene(seed, 96, 96) for seed in range(40)]
    mixed = [scene for scene in scenes if 0.1 < scene.mask.mean() < 0.7]
    bluer = []
    for scene in mixed:
        bright = scene.image.max(axis=2) > 80  # neither ground nor surround
        pixels = scene.image.astype(float)
        bluer.append(blueness(pixels[bright & (scene.mask == 0)]) > blueness(pixels[bright & (scene.mask == 1)]))

    assert np.mean(bluer) > 0.9


@pytest.mark.parametrize(("seed", "width", "height"), [(-1, 64, 64), (0, 7, 64), (0, 64, 0)])
def test_impossible_scene_is_rejected_with_the_limits(seed: int, width: int, height: int) -> None:
    with pytest.raises(ValueError, match="at least 8"):
        make_scene(seed, width, height)
