"""docs/extending.md, followed step by step."""

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from cloudseg_ops import RunReportOperator, Settings, segment_chunks
from cloudseg_ops.contracts.architectures import ARCHITECTURES
from cloudseg_ops.contracts.errors import ChunkUnfinishedError, ModelLoadError, ModelParamsError, SettingsError
from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.predict import Predictor
from cloudseg_ops.report import write_report
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from tests.conftest import Buckets
from tests.support.lab import Lab, model_ref, noise
from tests.support.report_runs import done, facts_of, planned, quarantined, write_chunk

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text("utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")}
CPU = torch.device("cpu")


def examples(section: str, language: str) -> list[str]:
    """The code of a section of the page."""
    return re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], re.DOTALL)


MODULE, ENTRY = examples("A network architecture", "python")
(PARAMS,) = examples("A network architecture", "yaml")


def install(monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    """Install an example under the module name that the page uses."""
    module = ModuleType(name)
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, name, module)


def settings_with(buckets: Buckets, line: str) -> Settings:
    """Settings from an environment with the variable that the page sets."""
    variable, _, value = line.strip().partition("=")
    return Settings.from_environment(
        {
            "CLOUDSEG_INPUT_BUCKET": buckets.input,
            "CLOUDSEG_OUTPUT_BUCKET": buckets.output,
            "CLOUDSEG_STAGING_BUCKET": buckets.staging,
            "CLOUDSEG_MODEL_REPOSITORY": "https://git.example/models.git",
            variable: value,
        }
    )


@pytest.fixture
def section(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The `model` section of the page, with its architecture in place."""
    install(monkeypatch, "my_networks", MODULE)
    before = dict(ARCHITECTURES)
    exec(ENTRY, {})
    yield yaml.safe_load(PARAMS)["model"]
    ARCHITECTURES.clear()
    ARCHITECTURES.update(before)


def weights(section: dict[str, Any]) -> bytes:
    torch.manual_seed(0)
    network = ARCHITECTURES["fcn"].load()(3, 1, **section["arguments"])
    network.train()(torch.rand(4, 3, 32, 32))
    stream = io.BytesIO()
    torch.save(network.state_dict(), stream)
    return stream.getvalue()


def test_new_architecture_works_whole_tiled_and_in_bfloat16(section: dict[str, Any]) -> None:
    params = ModelParams.parse(section, "params.yaml")
    data = weights(section)
    ref = model_ref(data, params)
    network = load_network(ref, data, CPU)
    assert network.stride == 2
    image = DecodedImage(noise(101, 75), (150, 202))
    whole = Predictor(ref, network).predict([image])[0].values
    tiled = Predictor(ref, network).predict_tiled(image, 40 * 40).values
    assert whole.shape == (1, 75, 101)
    assert np.allclose(whole, tiled, atol=1e-5)
    coarse = Predictor(ref, network.in_bf16()).predict([image])[0].values
    assert np.abs(whole - coarse).max() < 0.05 * np.abs(whole).max() + 0.01


def test_new_architecture_rejects_unknown_arguments(section: dict[str, Any]) -> None:
    params = ModelParams.parse({**section, "arguments": {"depth": 3}}, "params.yaml")
    with pytest.raises(ModelLoadError, match=r"depth are unknown.*may name width"):
        load_network(model_ref(b"", params), b"", CPU)


def test_unregistered_architecture_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(ModelParamsError, match=r"architecture: .*one of exported, unet"):
        ModelParams.parse(yaml.safe_load(PARAMS)["model"], "params.yaml")


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch, emulator: Emulator, buckets: Buckets) -> Settings:
    """Settings with the page's runtime, whose module is importable."""
    (code,), (line,) = examples("A runtime", "python"), examples("A runtime", "sh")
    install(monkeypatch, "my_runtime", code)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    return settings_with(buckets, line)


def segment_task(settings: Settings, chunk: dict[str, Any]) -> Any:
    """The task that a DAG has for one chunk."""
    from airflow.sdk import DAG

    with DAG("nice_segmentation") as dag:
        segment_chunks(settings, [chunk], {"commit": "c" * 40}, task_id="segment", pool="cloudseg_gpu")
    # No teardown: its engines are not pods.
    (mapped,) = dag.tasks
    assert mapped.pool == "cloudseg_gpu"
    return mapped.unmap({"chunk": chunk})


def chunk_of(layout: RunLayout, objects: int) -> dict[str, Any]:
    return {"index": 0, "uri": str(layout.chunk(0)), "objects": objects, "bytes": 1000}


@pytest.mark.slow
def test_new_runtime_segments_a_chunk(runtime: Settings, store: Store, buckets: Buckets, layout: RunLayout) -> None:
    lab = Lab.open(store, buckets)
    lab.set(chunk=layout.chunk(0), results=layout.results(0))
    lab.write_chunk([*lab.put_many(2), lab.put("broken.jpg", b"no image")])
    store.write(layout.model, json.dumps(lab.ref.to_json()).encode())
    task = segment_task(runtime, chunk_of(layout, 3))
    assert type(task).__name__ == "NiceSegmentOperator"
    task.execute({"run_id": layout.run_id})
    assert lab.outcomes() == {"sky/000.png": "done", "sky/001.png": "done", "broken.jpg": "quarantined"}
    assert lab.summary().complete
    assert lab.mask("sky/001.png").size == (40, 30)
    assert lab.provenance("sky/000.png").run_id == layout.run_id


def test_new_runtime_fails_a_missing_chunk(runtime: Settings, layout: RunLayout) -> None:
    with pytest.raises(ChunkUnfinishedError, match="exit code 1"):
        segment_task(runtime, chunk_of(layout, 1)).execute({"run_id": layout.run_id})


def test_new_runtime_without_its_module_is_rejected(buckets: Buckets, layout: RunLayout) -> None:
    settings = settings_with(buckets, examples("A runtime", "sh")[0])
    with pytest.raises(SettingsError, match="CLOUDSEG_RUNTIME = 'my_runtime:NICE': No module named 'my_runtime'"):
        segment_task(settings, chunk_of(layout, 1))


def test_new_results_format_is_written_next_to_the_report(
    monkeypatch: pytest.MonkeyPatch, store: Store, buckets: Buckets, layout: RunLayout
) -> None:
    (code,), (line,) = examples("A results format", "python"), examples("A results format", "sh")
    install(monkeypatch, "my_formats", code)
    settings = settings_with(buckets, line)
    results = [done("a.jpg", 0.95), done("b.jpg", 0.9), quarantined("c.jpg", "no image"), done("d.jpg", 1.0)]
    write_chunk(store, layout, 0, [*results, Result(done("e.jpg").source, Outcome.VANISHED)])
    write_report(store, layout, facts_of(layout, planned(layout, 5)), formats=settings.results_formats)
    folder = layout.report_folder
    expected = [f"gs://{buckets.output}/{name}.jpg.mask.png" for name in "ad"]
    assert list(store.read_lines(folder / "overcast.txt")) == expected
    assert {info.name.rpartition("/")[2] for info in store.list_objects(folder)} == {
        "overcast.txt", "report.html", "report.json", "results.csv",
    }  # fmt: skip


def test_new_results_format_without_its_module_is_rejected(buckets: Buckets) -> None:
    settings = settings_with(buckets, examples("A results format", "sh")[0])
    with pytest.raises(SettingsError, match="CLOUDSEG_RESULTS_FORMATS = 'my_formats:OVERCAST': No module named"):
        RunReportOperator(
            task_id="report",
            snapshot=None,
            model=None,
            chunks=None,
            after_success="keep",
            phases={},
            results_formats=settings.results_formats,
            input_bucket=buckets.input,
            staging_bucket=buckets.staging,
            output_bucket=buckets.output,
        )
