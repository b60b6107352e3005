"""The engine as a separate process, as it runs in a pod."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import ANY

import pytest
import torch

from cloudseg_ops import __version__
from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.contracts.engine_failure import PERMANENT_EXIT, permanent_failure
from cloudseg_ops.contracts.errors import NonFiniteWeightsError, ObjectNotFoundError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, Fault, FaultPlan
from tests.conftest import Buckets
from tests.support.engine_process import ended, masks, wait_for_masks
from tests.support.lab import Lab, state_bytes, tiny_unet, unet_params
from tests.support.processes import Start, starting


@pytest.fixture
def start(emulator: Emulator) -> Iterator[Start]:
    with starting(STORAGE_EMULATOR_HOST=emulator.url) as run:
        yield partial(run, "-m", "cloudseg_ops.engine")


@pytest.fixture
def other_buckets(store: Store) -> Buckets:
    made = Buckets("other-input", "other-output", "other-staging")
    for name in (made.input, made.output, made.staging):
        store.create_bucket(name)
    return made


def slow_chunk(lab: Lab, faults: FaultPlan) -> list[str]:
    """A chunk that takes half a minute: 0.25 seconds per request, two images at a time."""
    lab.write_chunk(lab.put_many(60))
    faults.latency = 0.25
    return lab.arguments(**{"--downloads": "2", "--uploads": "2", "--batch": "2", "--threads": "1"})


def progress_of(lab: Lab) -> GcsUri:
    return GcsUri(lab.buckets.staging, "progress/00003")


def check_results_after_a_stop(lab: Lab) -> int:
    results = lab.results()
    assert 0 < len(results) < 60
    assert {str(result.outcome) for result in results} == {"done"}
    assert not lab.summary().complete
    assert lab.summary().images == 60
    assert masks(lab) == len(results)
    return len(results)


@pytest.mark.slow
def test_sigterm_and_a_lost_parent_save_the_results_so_far(
    lab: Lab, other_buckets: Buckets, faults: FaultPlan, start: Start
) -> None:
    tethered_lab = Lab.open(lab.store, other_buckets)
    signaled = start(*slow_chunk(lab, faults), "--progress", str(progress_of(lab)))
    faults.clear()
    tethered = start(*slow_chunk(tethered_lab, faults), "--tether", "--progress", str(progress_of(tethered_lab)))

    wait_for_masks(lab, signaled)
    signaled.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    signaled.send_signal(signal.SIGTERM)
    wait_for_masks(tethered_lab, tethered)
    assert tethered.stdin
    tethered.stdin.close()
    tethered.stdin = None

    for one, process, cause in ((lab, signaled, "SIGTERM"), (tethered_lab, tethered, "the end of standard input")):
        code, lines = ended(process, within=20)
        assert code == 143, lines
        saved = check_results_after_a_stop(one)
        found = one.store.stat(progress_of(one))
        assert found
        assert ChunkStatus.from_metadata(found.metadata) == ChunkStatus(saved, 60, ANY, ended=True)
        assert any(f"{cause}: taking no new image" in line for line in lines)


@pytest.mark.slow
def test_killed_engine_completes_when_run_again(lab: Lab, faults: FaultPlan, start: Start) -> None:
    first = start(*slow_chunk(lab, faults))
    wait_for_masks(lab, first)
    first.kill()
    first.wait()
    faults.clear()
    had = masks(lab)
    second = start(
        *lab.arguments(**{"--previews": f"gs://{lab.buckets.staging}/previews", "--progress-seconds": "0.5"}),
        *("--log-format", "json"),
    )
    assert second.stdin
    second.stdin.close()  # as in a pod: ignored without --tether
    second.stdin = None
    code, lines = ended(second, within=90)
    assert code == 0, lines
    assert lab.summary().complete
    outcomes = list(lab.outcomes().values())
    assert len(outcomes) == 60
    assert had <= outcomes.count("skipped") < 60
    events: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert events[-1]["event"] == "summary"
    assert (events[-1]["done"], events[-1]["total"]) == (60, 60)
    assert events[-1]["outcomes"]["done"] == outcomes.count("done")


@pytest.mark.parametrize("delay", [0.15, 0.8])
def test_sigterm_during_the_start_ends_immediately(lab: Lab, faults: FaultPlan, start: Start, delay: float) -> None:
    process = start(*slow_chunk(lab, faults))
    time.sleep(delay)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    assert time.monotonic() - began < 5
    assert process.returncode in {143, -signal.SIGTERM}  # the latter before Python has started
    assert masks(lab) == 0


def test_last_line_of_an_unfinished_chunk_has_the_error(lab: Lab, faults: FaultPlan, start: Start) -> None:
    lab.write_chunk(lab.put_many(1))
    lab.store.write(GcsUri.parse(lab.ref.uri), b"other weights")
    faults.add(Fault(status=403, method="GET", path=r"/o/chunks", times=100))
    code, lines = ended(start(*lab.arguments()), within=60)
    assert code == 1
    assert "PermissionDeniedError" in lines[-1]
    assert str(lab.options.chunk) in lines[-1]


def test_weights_that_are_nan_end_the_engine_with_the_exit_code_of_a_permanent_failure(lab: Lab, start: Start) -> None:
    network = tiny_unet()
    with torch.no_grad():
        network.head.weight.fill_(float("nan"))
    lab.use_model(state_bytes(network), unet_params())
    lab.write_chunk(lab.put_many(1))
    code, lines = ended(start(*lab.arguments(**{"--log-format": "json"})), within=60)
    assert code == PERMANENT_EXIT
    failure = permanent_failure(lines[-3:], "pod p")
    assert type(failure) is NonFiniteWeightsError
    assert str(failure).startswith("pod p: model v1 ")
    assert "head.weight (4 of 4 values, float32)" in str(failure)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_version_mismatch_is_rejected_before_any_work(lab: Lab, start: Start, log_format: str) -> None:
    lab.write_chunk(lab.put_many(1))
    # The mismatch is reported even if the command line has an unknown option.
    arguments = [*lab.arguments(), "--expect-version", "99.0.0", "--of-tomorrow", "yes", "--log-format", log_format]
    code, lines = ended(start(*arguments), within=30)
    assert code == 3, lines
    assert len(lines) == 1
    message = json.loads(lines[0])["message"] if log_format == "json" else lines[0]
    assert (
        f"VersionMismatchError: this engine is cloudseg {__version__}, and the DAG that started it is 99.0.0" in message
    )
    assert masks(lab) == 0
    with pytest.raises(ObjectNotFoundError):
        lab.results()


def test_first_line_has_the_version(lab: Lab, start: Start) -> None:
    lab.write_chunk(lab.put_many(1))
    code, lines = ended(start(*lab.arguments(), "--expect-version", __version__), within=60)
    assert code == 0, lines
    assert lines[0].endswith(f"cloudseg {__version__}")


def test_invalid_arguments_exit_with_status_2(start: Start) -> None:
    process = start("--chunk", "nowhere")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "not a Cloud Storage address" in errors


def test_a_chunk_completes_even_if_its_status_cannot_be_written(lab: Lab, faults: FaultPlan, start: Start) -> None:
    lab.write_chunk(lab.put_many(1))
    # Upload URLs do not contain the object's name, but only the status is a multipart upload to this bucket.
    faults.add(Fault(status=503, method="POST", path=f"/{lab.buckets.staging}/o.*uploadType=multipart", times=1000))
    code, lines = ended(start(*lab.arguments(), "--progress", str(progress_of(lab))), within=60)
    assert code == 0, lines
    assert lab.summary().complete
    assert lab.store.stat(progress_of(lab)) is None
    assert "summary: 1 of 1 images" in lines[-1]
