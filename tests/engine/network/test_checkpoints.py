"""Checkpoints as people have them: what `pull_model` accepts the engine loads, with the right values."""

import argparse
import io
import logging
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from cloudseg_ops.contracts.errors import WeightsFileError
from cloudseg_ops.contracts.model_section import ModelSection, complete_params
from cloudseg_ops.engine.network.loading import load_network
from tests.support.lab import model_ref, tiny_unet
from tests.support.safetensors import safetensors

State = Mapping[str, torch.Tensor]
NETWORK = tiny_unet()
STATE: State = NETWORK.state_dict()
IMAGES = torch.rand(1, 3, 16, 24)
with torch.inference_mode():
    LOGITS = NETWORK(IMAGES)


def saved(content: object, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **how)
    return stream.getvalue()


def logits(data: bytes, **section: Any) -> torch.Tensor:
    """What a model predicts whose `model` section says no more than this."""
    completed = complete_params(ModelSection(section, "params.yaml"), io.BytesIO(data), "it")
    network = load_network(model_ref(data, completed.params), data, torch.device("cpu"))
    with torch.inference_mode():
        found: torch.Tensor = network.forward(IMAGES)
    return found


def prefixed(prefix: str, state: State = STATE) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def training() -> dict[str, Any]:
    """What lies next to weights in checkpoints of trainings."""
    adam = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.ones(2, 3)}}, "param_groups": [{"params": [0]}]}
    return {"epoch": 7, "optimizer": adam, "hyper_parameters": {"lr": 0.1, "betas": (0.9, 0.99)}}


class Callback:
    """A class that only the machine of the training has."""


class Config(dict[str, Any]):
    """As OmegaConf, addict and Lightning have them."""


FOREIGN = {
    "args": argparse.Namespace(lr=0.1),
    "callbacks": {Callback: {"best": np.float64(0.5)}, "plain": Callback()},
    "config": Config(lr=0.1),
    "history": defaultdict(list, {"loss": [np.float32(1.0)]}),
    "scores": np.arange(3),
    "seen": {1, 2},
    "frozen": frozenset({1}),
}


def _below(entry: str) -> Callable[[], bytes]:
    return lambda: saved({entry: STATE, **training()})


def _prefixed(prefix: str) -> Callable[[], bytes]:
    return lambda: saved(prefixed(prefix))


CHECKPOINTS: dict[str, tuple[Callable[[], bytes], str]] = {
    **{
        f"entry {entry}": (_below(entry), f"entry '{entry}'; not used: epoch")
        for entry in ("state_dict", "model", "model_state_dict", "ema", "module", "net", "params", "weights_of_ours")
    },
    **{
        f"prefix {prefix}": (_prefixed(prefix), f"with the prefix '{prefix}' removed")
        for prefix in ("module.", "_orig_mod.", "model.", "net.", "network.", "_orig_mod.module.", "a.model._orig_mod.")
    },
    "two levels": (lambda: saved({"ema": {"module": STATE, "decay": 0.99}}), "the entry 'ema.module'; not used: decay"),
    "a prefix below an entry": (lambda: saved({"state_dict": prefixed("model.")}), "'state_dict', with the prefix"),
    "torch.compile within": (
        lambda: saved({name.replace("stem.", "stem._orig_mod."): tensor for name, tensor in STATE.items()}),
        "with wrappers such as `_orig_mod` removed",
    ),
    "Lightning": (
        lambda: saved({"state_dict": {**prefixed("model."), "loss.weight": torch.ones(2)}, **training(), **FOREIGN}),
        "with the prefix 'model.' removed from names; not used: epoch, optimizer, hyper_parameters, args, callbacks, ",
    ),
    "Lightning, legacy": (
        lambda: saved({**FOREIGN, "state_dict": prefixed("model.")}, _use_new_zipfile_serialization=False),
        "the entry 'state_dict', with the prefix 'model.' removed",
    ),
    "numbers next to tensors": (lambda: saved({**STATE, "epoch": 7, "best": None}), ""),
    "the same twice": (lambda: saved({"model": STATE, "best": STATE}), "the entry 'model'; not used: best"),
    "legacy": (lambda: saved(STATE, _use_new_zipfile_serialization=False), ""),
    "a later pickle protocol": (lambda: saved({"model": STATE}, pickle_protocol=4), "the entry 'model'"),
    "parameters": (lambda: saved({**STATE, **dict(NETWORK.named_parameters())}), ""),
    "compressed": (lambda: repacked(saved(STATE)), ""),
    "safetensors": (lambda: safetensors(STATE), ""),
    "safetensors with a prefix": (lambda: safetensors(prefixed("model."), {"format": "pt"}), "the prefix 'model.'"),
    "views of one storage": (lambda: saved(flattened(STATE)), ""),
    "transposed": (lambda: saved({**STATE, "head.weight": STATE["head.weight"].mT.contiguous().mT}), ""),
}  # fmt: skip


def repacked(data: bytes) -> bytes:
    """The same archive, compressed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return stream.getvalue()


def flattened(state: State) -> State:
    """The same tensors, in one storage."""
    floats = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
    flat = torch.cat([torch.zeros(3), *(tensor.flatten() for tensor in floats.values())])
    found, place = dict(state), 3
    for name, tensor in floats.items():
        found[name] = flat[place : place + tensor.numel()].view(tensor.shape)
        place += tensor.numel()
    return found


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_loaded_and_the_log_says_from_where(name: str, caplog: pytest.LogCaptureFixture) -> None:
    make, told = CHECKPOINTS[name]
    data = make()
    caplog.set_level(logging.INFO)
    torch.testing.assert_close(logits(data), LOGITS, rtol=1e-4, atol=1e-5)
    logged = [record.getMessage() for record in caplog.records if record.name.endswith("checkpoints")]
    found = complete_params(ModelSection({}, "params.yaml"), io.BytesIO(data), "it").note
    assert told in found
    assert [line.partition("weights.pt: ")[2] for line in logged] == ([found] if found else [])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}, {"safetensors": True}])
def test_other_precisions_become_float32(dtype: torch.dtype, how: dict[str, bool]) -> None:
    state = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in STATE.items()}
    data = safetensors(state) if how.pop("safetensors", False) else saved(state, **how)
    with torch.inference_mode():
        network = tiny_unet()
        network.load_state_dict(state)
        torch.testing.assert_close(logits(data), network(IMAGES), rtol=1e-4, atol=1e-5)


def test_the_device_of_the_training_does_not_matter() -> None:
    # What a GPU's checkpoint says of each storage: "cuda:0"
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(STATE))) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))
    torch.testing.assert_close(logits(stream.getvalue()), LOGITS, rtol=1e-4, atol=1e-5)


def test_a_big_endian_machine() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(STATE))) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if "/data/" in name:
                data = np.frombuffer(data, "<i8" if len(data) == 8 else "<f4").byteswap().tobytes()
            new.writestr(name, b"big" if name.endswith("byteorder") else data)
    found = torch.load(io.BytesIO(stream.getvalue()), weights_only=True)
    torch.testing.assert_close(found["head.weight"], STATE["head.weight"])
    torch.testing.assert_close(logits(stream.getvalue()), LOGITS, rtol=1e-4, atol=1e-5)


def test_a_legacy_checkpoint_that_was_cut_off() -> None:
    data = saved(STATE, _use_new_zipfile_serialization=False)
    logits(data)
    with pytest.raises(WeightsFileError, match=r"it is damaged: it lacks values of .*; copy the whole file again"):
        complete_params(ModelSection({}, "params.yaml"), io.BytesIO(data[:-1]), "it")
