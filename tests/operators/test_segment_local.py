"""The local runtime with the real engine, which is a separate process."""

import json
import threading
import time
from importlib.metadata import version
from typing import Any

import pytest

from cloudseg_ops import __version__
from cloudseg_ops.contracts.errors import ChunkUnfinishedError, VersionMismatchError
from cloudseg_ops.contracts.model_ref import model_digest
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import ChunkSummary
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from tests.conftest import Buckets
from tests.support import tiny
from tests.support.report_runs import MODEL

CONTEXT: dict[str, Any] = {"run_id": "test-run", "ti": None}


@pytest.fixture
def chunk(layout: RunLayout) -> dict[str, Any]:
    return {"index": 3, "uri": str(layout.chunk(3)), "objects": 1, "bytes": 10}


@pytest.fixture
def operator(emulator: Emulator, buckets: Buckets, chunk: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    from cloudseg_ops.operators.segment_local import LocalSegmentOperator

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    return LocalSegmentOperator(
        task_id="segment",
        chunk=chunk,
        input_bucket=buckets.input,
        staging_bucket=buckets.staging,
        output_bucket=buckets.output,
    )


def test_missing_chunk_fails_with_the_engines_last_lines(operator: Any, chunk: dict[str, Any]) -> None:
    with pytest.raises(ChunkUnfinishedError) as raised:
        operator.execute(CONTEXT)
    message = str(raised.value)
    assert message.startswith(f"chunk 3 ({chunk['uri']}): the engine ended with exit code 1: ")
    assert f"ObjectNotFoundError: read {chunk['uri']}: there is no such object" in message
    assert message.endswith("a retry does the rest")


def test_unknown_engine_option_fails_with_the_usage_error(operator: Any) -> None:
    operator.engine_options = ("--nonesuch",)
    with pytest.raises(ChunkUnfinishedError, match=r"exit code 2: .*unrecognized arguments: --nonesuch"):
        operator.execute(CONTEXT)


def test_version_mismatch_names_both_versions(operator: Any) -> None:
    operator.engine_options = ("--expect-version", "99.0.0")
    with pytest.raises(VersionMismatchError, match=f"^this engine is cloudseg {__version__}, .* it is 99.0.0: "):
        operator.execute(CONTEXT)


def test_a_model_that_cannot_be_used_fails_the_task_at_once(operator: Any, store: Store, layout: RunLayout) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    store.write_lines(layout.chunk(3), [])
    store.write(layout.model, json.dumps(MODEL.model_copy(update={"digest": "0" * 32}).to_json()).encode())
    with pytest.raises(AirflowFailException, match=r"^CorruptModelError: chunk 3 .*has the digest 0{32}, but"):
        operator.execute(CONTEXT)


@pytest.mark.slow
@pytest.mark.skipif(not version("torch").endswith("+cpu"), reason="this PyTorch may have CUDA")
def test_gpu_that_cannot_be_used_fails_with_the_reason(
    operator: Any, store: Store, layout: RunLayout, buckets: Buckets
) -> None:
    model = MODEL.model_copy(update={"digest": model_digest(MODEL.md5, MODEL.params)})
    uri = GcsUri(buckets.input, "a.png")
    store.write(uri, tiny.photograph(1, 64, 48))
    photograph = store.stat(uri)
    assert photograph is not None
    line = InputObject("a.png", photograph.generation, photograph.size, photograph.crc32c).to_line()
    store.write_lines(layout.chunk(3), [line])
    store.write(layout.model, json.dumps(model.to_json()).encode())
    operator.device = "cuda"
    with pytest.raises(ChunkUnfinishedError, match=r"DeviceError: the GPU cannot be used .*CLOUDSEG_DEVICE=cpu"):
        operator.execute(CONTEXT)
    assert not list(store.list_objects(GcsUri(buckets.output)))


def test_empty_chunk_completes(operator: Any, store: Store, layout: RunLayout) -> None:
    model = MODEL.model_copy(update={"digest": model_digest(MODEL.md5, MODEL.params)})
    store.write_lines(layout.chunk(3), [])
    store.write(layout.model, json.dumps(model.to_json()).encode())
    operator.execute(CONTEXT)
    results = store.stat(layout.results(3))
    assert results is not None
    summary = ChunkSummary.from_metadata(results.metadata)
    assert summary is not None
    assert (summary.images, summary.complete) == (0, True)


def test_on_kill_ends_the_engine(operator: Any, emulator: Emulator, store: Store, layout: RunLayout) -> None:
    store.write_lines(layout.chunk(3), [InputObject("a.jpg", 7, 10, "c").to_line()])
    ended: list[BaseException] = []

    def execute() -> None:
        try:
            operator.execute(CONTEXT)
        except ChunkUnfinishedError as error:
            ended.append(error)

    emulator.faults.latency = 5.0  # The engine waits for its first response.
    try:
        task = threading.Thread(target=execute)
        task.start()
        deadline = time.monotonic() + 20
        while operator._engine is None and time.monotonic() < deadline:
            time.sleep(0.02)
        engine = operator._engine
        time.sleep(1)
        began = time.monotonic()
        operator.on_kill()
        assert time.monotonic() - began < 15
        task.join(15)
    finally:
        emulator.faults.clear()
    assert not task.is_alive()
    assert engine.poll() not in (None, 0)
    assert "the engine ended with exit code" in str(ended[0])


def test_on_kill_without_an_engine_does_nothing(operator: Any) -> None:
    operator.on_kill()
    with pytest.raises(ChunkUnfinishedError):
        operator.execute(CONTEXT)
    operator.on_kill()


def test_chunk_is_a_template_field() -> None:
    from cloudseg_ops.operators.segment_local import LocalSegmentOperator

    assert "chunk" in LocalSegmentOperator.template_fields
