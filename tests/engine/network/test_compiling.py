"""`torch.compile` within the engine: when it is tried, and when its result is used."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cloudseg_ops.engine.network import compiling
from cloudseg_ops.engine.network.compiling import MAX_SHAPES, MIN_PASSES, CompilingForward, with_compilation
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.process.options import Compile
from tests.support.lab import model_ref, state_bytes, tiny_unet, unet_params

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


class Negation(nn.Module):
    """A pass whose compiled form is made up by the tests."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return -images


def loaded() -> Network:
    weights = state_bytes(tiny_unet())
    return load_network(model_ref(weights, unet_params()), weights, torch.device("cpu"))


@pytest.fixture
def _no_temporary_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")


def compiles_to(monkeypatch: pytest.MonkeyPatch, compiled: Any) -> list[int]:
    """Replace the compiler, and return a list that grows with each use."""
    calls: list[int] = []

    def compile_(forward: nn.Module) -> Any:
        calls.append(1)
        if isinstance(compiled, Exception):
            raise compiled
        return compiled

    monkeypatch.setattr(compiling, "_compiled", compile_)
    times = iter([1.0, 0.1] * 100)
    monkeypatch.setattr(compiling, "_timed", lambda *_: next(times) * 1e-9)
    return calls


def test_frequent_shape_is_compiled(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seen: list[int] = []

    def compiled(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return -images

    calls = compiles_to(monkeypatch, compiled)
    forward = CompilingForward(Negation(), 1000, 0.0)
    for _ in range(MIN_PASSES + 3):
        assert torch.equal(forward(IMAGES), -IMAGES)
    assert len(calls) == 1
    assert len(seen) == 2 + 3  # two to compare results
    assert "2 × 3 × 16 × 16" in caplog.text
    assert caplog.text.rstrip().endswith(": used")


@pytest.mark.parametrize(
    ("compiled", "why"),
    [
        (lambda images: -images * 1.1, "differ by 0.1"),
        (lambda images: -images.nan_to_num(), "hide NaN: not used"),
        (RuntimeError("no header"), "was not compiled for 2 × 3 × 16 × 16: RuntimeError: no header"),
    ],
    ids=["other results", "hides NaN", "fails"],
)
def test_compiled_pass_that_is_not_equivalent_is_not_used(
    compiled: Any, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    calls = compiles_to(monkeypatch, compiled)
    forward = CompilingForward(Negation(), 1000, 0.0)
    for _ in range(MIN_PASSES + 3):
        assert torch.equal(forward(IMAGES), -IMAGES)
    assert why in caplog.text
    # It is not tried again.
    assert len(calls) == 1


def test_slower_compiled_pass_is_not_used(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    compiles_to(monkeypatch, lambda images: -images)
    monkeypatch.setattr(compiling, "_timed", lambda *_: 1.0)
    forward = CompilingForward(Negation(), 1000, 0.0)
    for _ in range(MIN_PASSES + 1):
        forward(IMAGES)
    assert caplog.text.rstrip().endswith(": not used")


def test_few_images_or_many_shapes_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = compiles_to(monkeypatch, lambda images: -images)
    short = CompilingForward(Negation(), 100, 600.0)
    for _ in range(10):
        short(IMAGES)
    assert not calls
    varied = CompilingForward(Negation(), 10**9, 0.0)
    for side in range(1, 20):
        for _ in range(MIN_PASSES):
            varied(torch.rand(1, 3, 16, 16 * side))
    assert len(calls) == MAX_SHAPES


@pytest.mark.usefixtures("_no_temporary_folders")
@pytest.mark.parametrize(("choice", "wrapped"), [("never", False), ("auto", True), ("always", True)])
def test_option_decides(choice: Compile, wrapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    network = with_compilation(loaded(), choice, 10)
    assert isinstance(network.forward, CompilingForward) is wrapped


def test_missing_compiler_is_reported(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    network = loaded()
    assert with_compilation(network, "always", 10) is network
    assert "is not compiled (--compile always): there is no C++ compiler (g++, clang++, c++) on the PATH" in caplog.text


@pytest.mark.slow
@pytest.mark.skipif(compiling._unavailable(torch.device("cpu")) is not None, reason="there is no C++ compiler")
@pytest.mark.usefixtures("_no_temporary_folders")
def test_network_is_really_compiled(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    exact = loaded()
    network = with_compilation(exact, "always", 10_000)
    with torch.inference_mode():
        for _ in range(MIN_PASSES + 1):
            found = network.run(IMAGES)
        assert torch.allclose(found, exact.run(IMAGES), atol=1e-4)
    assert "compiling the network for 2 × 3 × 16 × 16 took" in caplog.text
