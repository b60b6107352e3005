import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Prediction
from cloudseg_ops.engine.io.preview_writer import _WAITING, MAX_SIDE, PreviewWriter, render_preview
from gcs_emulator import Emulator
from tests.support.lab import Lab, noise

IMAGE = DecodedImage(np.zeros((30, 40, 3), np.uint8))
PREDICTION = Prediction(np.zeros((30, 40), np.uint8))


def result(number: int, outcome: Outcome = Outcome.DONE) -> Result:
    return Result(InputObject(f"{number}.png", 7, 1, "AAAAAA=="), outcome, cloud_fraction=0.0)


def writer(lab: Lab, count: int, *, preview_all: bool) -> PreviewWriter:
    folder = GcsUri(lab.buckets.staging, "previews")
    options = replace(lab.options, previews=folder, preview_count=count, preview_all=preview_all)
    return PreviewWriter(options, lab.store, lab.ref)


def written(lab: Lab) -> list[str]:
    return [info.name for info in lab.store.list_objects(GcsUri(lab.buckets.staging, "previews/"))]


@pytest.mark.parametrize(("preview_all", "expected"), [(False, 2), (True, 5)])
def test_first_or_all_masks_get_previews(lab: Lab, preview_all: bool, expected: int) -> None:
    made = writer(lab, 2, preview_all=preview_all)
    for number in range(5):
        made.offer(IMAGE, PREDICTION, result(number))
    made.offer(IMAGE, PREDICTION, result(9, Outcome.CHANGED))
    made.close(wait=True)
    assert len(written(lab)) == expected


def test_number_of_waiting_photographs_is_bounded(lab: Lab, emulator: Emulator) -> None:
    made = writer(lab, 0, preview_all=True)
    waiting = []

    def offer(number: int) -> None:
        made.offer(IMAGE, PREDICTION, result(number))
        waiting.append(made._threads._work_queue.qsize())

    emulator.faults.latency = 0.05
    try:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(offer, range(150)))
        made.close(wait=True)
    finally:
        emulator.faults.latency = 0.0
    assert 0 < max(waiting) <= _WAITING
    assert len(written(lab)) == 150


def test_close_without_waiting_discards_pending_previews(lab: Lab, emulator: Emulator) -> None:
    made = writer(lab, 0, preview_all=True)
    emulator.faults.latency = 0.2
    try:
        for number in range(_WAITING):
            made.offer(IMAGE, PREDICTION, result(number))
        made.close(wait=False)
    finally:
        emulator.faults.latency = 0.0
    assert len(written(lab)) < _WAITING
    # Canceled previews have released their slots.
    assert made._slots.acquire(timeout=5)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (640, 480), (100, 2000), (320, 300)])
@pytest.mark.parametrize("channels", [1, 3])
def test_preview_has_two_halves_within_the_size_limit(size: tuple[int, int], channels: int) -> None:
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


def test_a_stretched_photograph_of_many_bands_gets_its_own_shape_and_three_bands() -> None:
    pixels = np.zeros((64, 64, 5), np.float32)
    pixels[..., :3] = (2.0, 0.5, -1.0)
    pixels[..., 3:] = 0.3
    data = render_preview(DecodedImage(pixels, (100, 200)), np.zeros((64, 64), np.uint8))
    with Image.open(io.BytesIO(data)) as preview:
        assert preview.size == (2 * 64 + 4, 32)
        red, green, blue = preview.convert("RGB").getpixel((20, 16))  # type: ignore[misc]
    assert (red > 245, abs(green - 128) < 10, blue < 10) == (True, True, True)
