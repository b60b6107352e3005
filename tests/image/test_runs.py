"""The engine in a container with the rights of a hardened pod: read-only, no capabilities, unprivileged."""

import json
import time

import pytest

from cloudseg_ops.contracts.uris import GcsUri
from gcs_emulator import Emulator
from tests.image.conftest import Start
from tests.support.containers import Container
from tests.support.lab import Lab, picture, state_bytes, tiny_unet, unet_params
from tests.support.programs import Brightness, exported, exported_params


def masks(lab: Lab) -> int:
    return sum(1 for _ in lab.store.list_objects(GcsUri(lab.buckets.output)))


def wait_for_masks(lab: Lab, container: Container) -> None:
    end = time.monotonic() + 90
    while not masks(lab):
        assert container.running, container.logs
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("architecture", ["unet", "exported"])
def test_chunk_is_segmented(lab: Lab, start: Start, architecture: str) -> None:
    if architecture == "unet":
        lab.use_model(state_bytes(tiny_unet()), unet_params())
    else:
        lab.use_model(exported(Brightness()), exported_params())
    lab.write_chunk([*lab.put_many(5), lab.put("broken.jpg", picture()[:100])])
    container = start(*lab.arguments(**{"--log-format": "json"}))
    code = container.wait()
    assert code == 0, container.logs
    assert sorted(lab.outcomes().values()) == ["done"] * 5 + ["quarantined"]
    assert lab.mask("sky/000.png").size == (40, 30)
    assert lab.provenance("sky/000.png").source.generation == lab.results()[0].source.generation
    events = [json.loads(line) for line in container.logs]  # only the log, without warnings of libraries
    assert events[-1]["event"] == "summary"


def test_sigterm_reaches_the_engine(lab: Lab, emulator: Emulator, start: Start) -> None:
    lab.write_chunk(lab.put_many(60))
    emulator.faults.latency = 0.25
    try:
        container = start(*lab.arguments(**{"--downloads": "2", "--uploads": "2", "--batch": "2", "--threads": "1"}))
        wait_for_masks(lab, container)
        began = time.monotonic()
        code = container.stop(grace=25)
        took = time.monotonic() - began
    finally:
        emulator.faults.clear()
    assert code == 143, container.logs
    assert took < 20
    assert 0 < len(lab.results()) < 60
    assert masks(lab) == len(lab.results())
    assert not lab.summary().complete
