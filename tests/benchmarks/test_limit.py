from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.generous import grouped_forward, prepare_network
from benchmarks.lanes import rate
from benchmarks.limit import Search, load_images, measure_mix, measure_setting, search
from benchmarks.limit_job import LimitJob
from benchmarks.models import Brightness, open_model, plain_network
from benchmarks.photographs import open_photographs
from benchmarks.settings import Setting, build, missing_compiler, vary_batches, vary_lanes, vary_precision_and_layout
from cloudseg_ops.engine.network.loading import load_network
from tests.support.lab import state_bytes, tiny_unet

IMAGES = torch.rand(3, 3, 32, 48, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    path.write_bytes(state_bytes(tiny_unet()))
    return path


def network(weights: Path) -> torch.nn.Module:
    return plain_network("unet", {"width": 4, "depth": 2}, str(weights))


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [
        *vary_precision_and_layout(Setting()),
        Setting(compiler="trace", folded=True),
        Setting(compiler="trace", precision="autocast"),
    ],
    ids=Setting.describe,
)
def test_each_setting_computes_the_same(weights: Path, setting: Setting) -> None:
    expected = network(weights)(IMAGES)
    found = build(network(weights), setting, IMAGES)(IMAGES).float()
    tolerance = 1e-4 if setting.precision == "fp32" else 0.05
    assert (found - expected).abs().max() < tolerance * expected.abs().max()


def test_candidate_settings() -> None:
    start = Setting(threads=4)
    assert {(one.lanes, one.threads, one.processes) for one in vary_lanes(start, 4, processes=True)} == {
        (1, 4, False),
        (2, 2, False),
        (2, 2, True),
        (4, 1, False),
        (4, 1, True),
    }
    assert not any(one.processes for one in vary_lanes(start, 4, processes=False))
    assert [one.batch for one in vary_batches(start, 1024 * 1024)] == [1, 2, 4, 8, 16]
    assert [one.batch for one in vary_batches(start, 30_000_000)] == [1]
    assert len(set(vary_precision_and_layout(start))) == 7


def test_missing_compiler_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no C++ compiler" in (missing_compiler() or "")
    compiler = tmp_path / "g++"
    compiler.touch(0o755)
    assert missing_compiler() is None


def test_lanes_count_their_images() -> None:
    calls: list[int] = []

    def forward(images: torch.Tensor) -> torch.Tensor:
        calls.append(len(images))
        return images

    images_per_second, passed = rate(lambda: forward, IMAGES, Setting(batch=3, lanes=2), 0.01)
    assert images_per_second > 0
    assert passed == sum(calls)
    assert len(calls) % 2 == 0


def test_measured_setting_makes_enough_passes(job: LimitJob) -> None:
    measured = job.with_setting(Setting(threads=1).to_json())
    _, passed = measure_setting(replace(measured, seconds=0.0), Setting(threads=1), torch.rand(1, 3, 16, 16))
    assert passed == 10 + 2  # with the passes to warm up


def test_failing_lane_ends_the_measurement(capfd: pytest.CaptureFixture[str]) -> None:
    def forward(images: torch.Tensor) -> torch.Tensor:
        raise ValueError("no")

    with pytest.raises(RuntimeError, match="a lane failed"):
        rate(lambda: forward, IMAGES, Setting(lanes=2), 0.01)
    assert "ValueError: no" in capfd.readouterr().err


@pytest.fixture
def job(weights: Path, tmp_path: Path) -> LimitJob:
    photographs = open_photographs("256", 50_000, tmp_path)
    params = {"architecture": "unet", "in_channels": 3, "n_classes": 1, "arguments": {"width": 4, "depth": 2}}
    return LimitJob(
        weights=str(weights),
        params=params,
        network="unet",
        photographs=str(photographs.folder),
        answer="",
        cpus=1,
        seconds=0.01,
        compilers=False,
        processes=False,
    )


def test_photographs_are_grouped_by_network_input_size(job: LimitJob) -> None:
    by_size = load_images(job, torch.device("cpu"))
    assert {size: len(images) for size, images in by_size.items()} == {(256, 256): 8}


def test_search_finds_a_measurable_setting(job: LimitJob) -> None:
    by_size = {(32, 48): IMAGES}
    found = search(job, by_size)
    tried = [one for one in found["tried"] if one["setting"] == found["setting"]]
    assert tried[0]["agreement"] >= 0.999
    assert max(one["images_per_second"] for one in tried) == found["best_images_per_second"]
    assert found["plain_seconds"] > 0
    assert "--no-compilers" in found["not_tried"]
    answer = measure_mix(job, by_size, Setting(**found["setting"]))
    assert answer["images_per_second"] > 0
    assert answer["images"] > 0


def test_sizes_are_weighted_by_image_count(job: LimitJob) -> None:
    by_size = {(64, 64): torch.rand(3, 3, 64, 64), (128, 128): torch.rand(1, 3, 128, 128)}
    answer = measure_mix(job, by_size, Setting(threads=1))
    small, large = answer["by_size"]["64x64"], answer["by_size"]["128x128"]
    assert answer["images_per_second"] == pytest.approx(4 / (3 / small + 1 / large))


def test_setting_with_different_masks_has_rate_zero(job: LimitJob) -> None:
    images = torch.rand(2, 3, 64, 64)
    plain = Setting(threads=1)
    searching = Search(job, images, torch.zeros(2, 1, 64, 64) + torch.tensor([1.0, -1.0]).repeat(32))
    assert searching.measure(plain) == 0
    assert searching.tried[0]["images_per_second"] > 0
    assert searching.tried[0]["agreement"] < 0.999
    assert searching.measure(replace(plain, threads=0)) == 0
    assert "a lane failed" in searching.tried[1]["error"]


def test_batches_by_shape_keep_the_order() -> None:
    images = [torch.rand(3, 32, 32), torch.rand(3, 48, 32), torch.rand(3, 32, 32)]
    brightness = Brightness().eval()
    for image, logits in zip(images, grouped_forward(brightness, images), strict=True):
        assert torch.allclose(logits, brightness(image[None])[0], atol=1e-6)


def test_prepared_network_computes_the_same(weights: Path) -> None:
    expected = network(weights)(IMAGES)
    assert (prepare_network(network(weights))(IMAGES) - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("name", ["free", "tiny", "example"])
def test_engine_loads_the_same_model_as_the_other_contenders(name: str, tmp_path: Path) -> None:
    model = open_model(name, tmp_path)
    theirs = plain_network(model.network, model.params.arguments, str(model.weights))
    ours = load_network(model.reference("gs://nowhere/weights"), model.staged.read_bytes(), torch.device("cpu"))
    assert ours.any_batch
    with torch.inference_mode():
        assert torch.allclose(ours.forward(IMAGES), theirs(IMAGES), atol=1e-3, rtol=1e-3)
