import io

import numpy as np
import pytest
from PIL import Image

from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.previews import MAX_SIDE, render_preview
from tests.engine.lab import noise


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (640, 480), (100, 2000), (320, 300)])
@pytest.mark.parametrize("channels", [1, 3])
def test_two_halves_within_the_limit(size: tuple[int, int], channels: int) -> None:
    width, height = size
    image = DecodedImage(noise(width, height, channels).reshape(height, width, channels))
    preview = Image.open(io.BytesIO(render_preview(image, np.ones((height, width), np.uint8))))
    assert preview.format == "JPEG"
    assert preview.height <= MAX_SIDE
    assert preview.width <= 2 * MAX_SIDE + 4


def test_the_right_half_marks_the_clouds() -> None:
    image = DecodedImage(np.full((100, 100, 3), 0.5, np.float32))
    classes = np.zeros((100, 100), np.uint8)
    classes[:, 50:] = 1
    shown = np.asarray(Image.open(io.BytesIO(render_preview(image, classes)))).astype(int)
    left, right = shown[:, :100], shown[:, 104:]
    assert np.abs(left - 128).max() < 40
    assert np.abs(right[:, :40] - 128).max() < 12
    inside, edge = right[20:80, 60:90], right[20:80, 50]
    assert (inside[..., 0] - inside[..., 1]).mean() > 25
    assert (edge[..., 0] - edge[..., 1]).mean() > (inside[..., 0] - inside[..., 1]).mean()
