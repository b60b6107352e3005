import logging
from collections.abc import Sequence

import pytest
import torch

from cloudseg_ops.contracts.errors import CorruptModelError, ModelLoadError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.memory.plan import MemoryPlan, plan_memory
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.model_loader import ModelLoader, workers_and_threads
from cloudseg_ops.engine.process.stopping import Stop
from tests.support.lab import Lab, noise, state_bytes, tiny_unet, unet_params
from tests.support.programs import exported, exported_params

GIB = 2**30


@pytest.mark.parametrize(
    ("cpus", "expected", "shares"),
    [
        (1, 500, (1, 1)),
        (2, 500, (2, 1)),
        (4, 500, (4, 1)),
        (8, 500, (8, 1)),
        (16, 500, (8, 2)),
        (17, 500, (5, 3)),
        (4, 1, (1, 4)),
        (4, 2, (2, 2)),
    ],
)
def test_cpus_are_divided_into_workers_and_threads(cpus: int, expected: int, shares: tuple[int, int]) -> None:
    assert workers_and_threads(cpus, expected) == shares


def test_threads_option_limits_the_compute_threads(lab: Lab) -> None:
    lab.set(threads=1)
    model = loader(lab)(images())
    assert (model.workers, model._threads) == (1, 1)
    lab.set(threads=3)
    model = loader(lab)(images())
    assert (model.workers, model._threads) == (3, 1)
    model = loader(lab, expected=1)(images())
    assert (model.workers, model._threads) == (1, 3)


def images(width: int = 40, height: int = 30) -> Sequence[DecodedImage]:
    return [DecodedImage(noise(width, height))]


def loader(lab: Lab, memory: MemoryPlan | None = None, expected: int = 100) -> ModelLoader:
    plan = memory or plan_memory(2 * GIB, GIB, on_gpu=False)
    return ModelLoader(lab.options, lab.store, lab.ref, "cpu", memory=plan, expected=expected, stop=Stop())


def test_workers_and_batch_size_fit_into_memory(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    roomy = loader(lab)(images())
    assert roomy.workers >= 1
    assert roomy.predict(images())[0].classes.shape == (30, 40)
    small = loader(lab, MemoryPlan(GIB, 1, 1, 1, compute=400_000))(images(64, 64))
    assert small.workers == 1
    assert small.limit((512, 512)) == 1
    assert small._tuner.max_pixels < roomy._tuner.max_pixels < GIB
    assert "on cpu in float32: " in caplog.text


def test_errors_while_loading_are_raised_to_the_caller(lab: Lab) -> None:
    lab.use_model(state_bytes(tiny_unet(in_channels=1)), unet_params(in_channels=3))
    with pytest.raises(ModelLoadError):
        loader(lab)(images())
    lab.store.write(GcsUri.parse(lab.ref.uri), b"other weights")
    with pytest.raises(CorruptModelError):
        loader(lab)(images())


def test_a_program_that_rejects_images_of_one_stride_is_measured(lab: Lab) -> None:
    program = exported(tiny_unet(), multiple=32, least=2)
    lab.use_model(program, exported_params(32))
    network = load_network(lab.ref, program, torch.device("cpu"))
    with pytest.raises(AssertionError, match="Guard failed"), torch.inference_mode():
        network.run(torch.zeros(1, 3, 32, 32))
    model = loader(lab)(images(100, 70))
    assert model.predict(images(100, 70))[0].classes.shape == (70, 100)
