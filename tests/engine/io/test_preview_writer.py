from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.restore import Prediction
from cloudseg_ops.engine.io.preview_writer import _WAITING, PreviewWriter
from gcs_emulator import Emulator
from tests.engine.lab import Lab

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
def test_the_first_or_all_of_those_that_got_a_mask(lab: Lab, preview_all: bool, expected: int) -> None:
    made = writer(lab, 2, preview_all=preview_all)
    for number in range(5):
        made.offer(IMAGE, PREDICTION, result(number))
    made.offer(IMAGE, PREDICTION, result(9, Outcome.CHANGED))
    made.close(wait=True)
    assert len(written(lab)) == expected


def test_it_holds_so_many_photographs_and_no_more(lab: Lab, emulator: Emulator) -> None:
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


def test_a_stop_waits_for_none(lab: Lab, emulator: Emulator) -> None:
    made = writer(lab, 0, preview_all=True)
    emulator.faults.latency = 0.2
    try:
        for number in range(_WAITING):
            made.offer(IMAGE, PREDICTION, result(number))
        made.close(wait=False)
    finally:
        emulator.faults.latency = 0.0
    assert len(written(lab)) < _WAITING
    # What was cancelled has given its place back.
    assert made._slots.acquire(timeout=5)
