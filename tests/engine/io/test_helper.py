import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
from PIL import Image

from cloudseg_ops.contracts.proof import Evidence
from cloudseg_ops.engine.chunk import run_chunk
from cloudseg_ops.engine.images.masks import Prediction
from cloudseg_ops.engine.io.helper import ProcessIo, Setup
from cloudseg_ops.engine.io.items import Computed, Item
from cloudseg_ops.engine.memory.plan import MemoryPlan, plan_memory
from cloudseg_ops.engine.process.stopping import Stop
from gcs_emulator import Emulator
from tests.support.lab import Lab, encoded, noise, picture

GIB = 2**30


@pytest.fixture(autouse=True)
def _endpoint(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)


def helpers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "cloudseg_ops.engine.io.helper" in command_line(child)
    ]


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended, or is a zombie, of this test or of another program
        return ""


def wait_for(seconds: float, condition: object) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_chunk_completes_with_helper_processes(lab: Lab) -> None:
    sources = [
        *lab.put_many(40),
        lab.put("deep.png", encoded(Image.fromarray(noise(30, 20, 1).astype(np.uint16) * 257), "PNG")),
        lab.put("broken.jpg", picture(60, 60, "JPEG")[:900]),
    ]
    lab.write_chunk(sources)
    lab.set(io_processes=2)
    assert run_chunk(lab.options, lab.store, Stop()).complete
    assert sorted(map(str, lab.outcomes().values())) == ["done"] * 41 + ["quarantined"]
    assert [result.source for result in lab.results()] == sources
    assert all(lab.mask(source.name).size == (40, 30) for source in sources[:40])
    assert helpers() == []


def test_helper_process_fetches_and_decodes_an_image(lab: Lab) -> None:
    (source,) = lab.put_many(1)
    ready, got = threading.Event(), list[object]()
    replied = threading.Event()
    helper = ProcessIo(Setup(lab.options, lab.ref, GIB), ready.set)
    try:
        assert ready.wait(30)
        reserved: list[int] = []

        def need(amount: int, granted: object) -> None:
            reserved.append(amount)
            granted()  # type: ignore[operator]

        def reply(what: object) -> None:
            got.append(what)
            replied.set()

        helper.fetch(Item(0, source, Evidence(None, None, None)), need, reply)
        assert replied.wait(30)
        assert reserved == [int(7.5 * 40 * 30)]
        assert np.array_equal(got[0].pixels, noise(40, 30))  # type: ignore[attr-defined]
    finally:
        helper.close()
    assert helper.process.returncode is not None


def test_publishing_to_a_stopped_helper_does_not_block(lab: Lab) -> None:
    (source,) = lab.put_many(1)
    ready = threading.Event()
    helper = ProcessIo(Setup(lab.options, lab.ref, GIB), ready.set)
    try:
        assert ready.wait(30)
        helper.process.send_signal(signal.SIGSTOP)
        mask = Prediction(np.zeros((1000, 1000), np.uint8))
        item = Item(0, source, Evidence(None, None, None))
        began = time.monotonic()
        for _ in range(20):
            helper.publish(Computed(item, mask, (1000, 1000), began), lambda _: None)
        assert time.monotonic() - began < 5
    finally:
        helper.close()


def test_image_too_large_for_memory_is_quarantined_with_a_remedy(lab: Lab) -> None:
    lab.write_chunk([lab.put("large.png", picture(400, 300)), *lab.put_many(2)])
    lab.set(io_processes=1)

    def small(budget: int, resident: int, *, on_gpu: bool) -> MemoryPlan:
        return replace(plan_memory(budget, resident, on_gpu=on_gpu), largest_image=100_000)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cloudseg_ops.engine.session.plan_memory", small)
        assert run_chunk(lab.options, lab.store, Stop()).complete
    assert list(lab.outcomes().values()) == ["quarantined", "done", "done"]
    assert re.search(
        r"needs 879 KiB of memory, .* one photograph is 97\.7 KiB; raise --memory", lab.results()[0].reason or ""
    )


@pytest.mark.slow
def test_images_of_a_killed_helper_are_processed_by_others(
    lab: Lab, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    lab.write_chunk(lab.put_many(300))
    lab.set(io_processes=1, downloads=4, uploads=4)

    def kill() -> None:
        wait_for(60, helpers)
        wait_for(60, lambda: len(list(lab.store.list_objects(lab.options.output))) > 150)
        helpers()[0].send_signal(signal.SIGKILL)

    emulator.faults.latency = 0.02
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        assert run_chunk(lab.options, lab.store, Stop()).complete
    finally:
        emulator.faults.latency = 0
        killer.join()
    assert "ended with status -9" in caplog.text
    assert list(lab.outcomes().values()) == ["done"] * 300


@pytest.mark.slow
def test_helpers_exit_when_the_engine_is_killed(lab: Lab, emulator: Emulator) -> None:
    lab.write_chunk(lab.put_many(200))
    emulator.faults.latency = 0.05
    engine = subprocess.Popen(
        [sys.executable, "-m", "cloudseg_ops.engine", *lab.arguments(**{"--io-processes": "2"})],
        env=os.environ | {"STORAGE_EMULATOR_HOST": emulator.url},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(60, lambda: len(helpers()) == 2 and list(lab.store.list_objects(lab.options.output)))
        found = helpers()
        engine.kill()
        engine.wait()
        wait_for(20, lambda: not any(process.is_running() for process in found))
        # Helpers that can no longer reserve memory must not quarantine their photographs.
        assert not [info for info in lab.store.list_objects(lab.options.output) if info.name.startswith("quarantine/")]
    finally:
        emulator.faults.latency = 0
        engine.kill()
