"""Which state dict of a checkpoint is used, and what is refused: `pull_model` and the engine decide alike."""

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudseg_ops.contracts.architectures import ARCHITECTURES
from cloudseg_ops.contracts.errors import ModelLoadError, WeightsFileError
from cloudseg_ops.contracts.model_section import ModelSection, complete_params
from cloudseg_ops.contracts.weights_check import check_weights
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.networks import UNet
from tests.support.lab import model_ref, unet_params
from tests.support.safetensors import safetensors

State = Mapping[str, torch.Tensor]
CPU = torch.device("cpu")


def state(value: float = 0.0, **arguments: int) -> dict[str, torch.Tensor]:
    """The state dict of a tiny network whose bias in the head is a value, by which it is recognized."""
    network = UNet(3, 1, **({"width": 1, "depth": 1} | arguments))
    with torch.no_grad():
        assert network.head.bias is not None
        network.head.bias.fill_(value)
    return network.state_dict()


def saved(content: object, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **how)
    return stream.getvalue()


def chosen(data: bytes, **section: Any) -> float:
    """The value of the state dict that is used."""
    completed = complete_params(ModelSection(section, "params.yaml"), io.BytesIO(data), "it")
    network: Any = load_network(model_ref(data, completed.params), data, CPU).forward
    return float(network.head.bias)


def below(prefix: str, tensors: State) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


ONE, TWO = state(1.0), state(2.0)


@pytest.mark.parametrize(
    "content",
    [
        {"model": TWO, "ema": ONE},
        {"state_dict": TWO, "state_dict_ema": ONE},
        {"model": TWO, "EMA": {"module": below("module.", ONE), "decay": 0.99}},
        {**below("online_model.", TWO), **below("ema_model.module.", ONE), "step": torch.tensor(7)},
        {**TWO, **below("ema.", ONE)},
    ],
    ids=["entries", "timm", "below an entry", "prefixes", "next to the network"],
)
def test_the_moving_average_is_preferred(content: dict[str, Any]) -> None:
    assert chosen(saved(content)) == 1.0


def test_the_log_names_what_else_would_fit() -> None:
    data = io.BytesIO(saved({"model": TWO, "ema": ONE}))
    told = complete_params(ModelSection({}, "params.yaml"), data, "it").note
    assert told == (
        "the weights are the entry 'ema'; not used: model; model would fit, too, and a moving average (ema) is "
        "preferred; `weights_key` in the `model` section selects another"
    )


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"model": ONE, "ema": TWO}, "model"),
        ({"last": TWO, "best": ONE}, "best"),
        ({"best": {"state_dict": below("net.", ONE)}, "last": {"state_dict": below("net.", TWO)}}, "best"),
        ({"state_dict": {**below("teacher.", TWO), **below("student.", ONE)}}, "state_dict.student"),
        ({**below("teacher.", TWO), **below("student.", ONE)}, "student."),
        ({**below("unet.", ONE), "refine.weight": torch.ones(1, 1, 3, 3)}, "unet"),
    ],
)
def test_weights_key_selects_a_state_dict(content: dict[str, Any], key: str) -> None:
    data = saved(content)
    assert chosen(data, weights_key=key) == 1.0
    with pytest.raises(ModelLoadError, match=r"no state dict that `weights_key: other` in params.yaml names"):
        chosen(data, weights_key="other")


def test_weights_key_is_part_of_the_digest_only_if_it_is_set() -> None:
    data = saved({"model": ONE, "ema": TWO})
    plain, named = (
        complete_params(ModelSection(section, "params.yaml"), io.BytesIO(data), "it").params
        for section in ({}, {"weights_key": "model"})
    )
    assert model_ref(data, plain).digest != model_ref(data, named).digest
    assert model_ref(data, plain).digest == model_ref(data, plain.model_copy(update={"weights_key": None})).digest


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"last": TWO, "best": ONE}, r"2 state dicts that fit: the entry 'last'; the entry 'best'\. .*\(last, best\)"),
        ({"ema": TWO, "best": {"ema": ONE}}, r"2 state dicts that fit: the entry 'ema'; the entry 'best\.ema'"),
        ({**below("a.", ONE), **below("b.", TWO)}, r"the whole checkpoint, with the prefix 'a\.' removed from names; "),
        ({**below("unet.", ONE), "refine.weight": torch.ones(1, 1, 3, 3)},
         r"may hold a larger network: .*'unet\.' removed .*\(refine\.weight\).* `weights_key: unet`.* export"),
        ({**ONE, "refine.weight": torch.ones(1)}, r"has 1 unknown \(refine\.weight\)\. Export"),
        ({**ONE, "aux.head.weight": torch.ones(1, 1, 1, 1)}, r"has 1 unknown \(aux\.head\.weight\)\. Export"),
        ({"epoch": 7, "model": below("module.", {name: ONE[name] for name in list(ONE)[1:]})},
         r"nearest state dict is the entry 'model', with the prefix 'module\.' removed .*lacks .*\(stem\.0\.weight"),
        ({**ONE, "head.weight": ONE["head.weight"].to(torch.int8)},
         r"has 1 of an unsupported type \(head\.weight holds Char\)"),
        ({**ONE, "stem._orig_mod.0.weight": ONE["stem.0.weight"]}, r"has 1 unknown \(stem\._orig_mod\.0\.weight\)"),
        ([ONE], r"it contains a list\. Expected: a state dict"),
        ({"epoch": 7}, r"it has no state dict; its entries are epoch"),
    ],
)  # fmt: skip
def test_doubts_are_an_error_that_says_how_to_end_them(content: object, told: str) -> None:
    with pytest.raises(ModelLoadError, match=told):
        chosen(saved(content))


def test_an_architecture_without_a_rule_is_found_by_the_network_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "other", replace(ARCHITECTURES["unet"], state_dict=None))
    section = {"architecture": "other", "in_channels": 3, "n_classes": 1, "arguments": {"width": 1, "depth": 1}}
    assert chosen(saved({"model": below("module.", TWO), "ema": below("module.", ONE)}), **section) == 1.0
    with pytest.raises(
        ModelLoadError, match=r"the nearest state dict is the entry 'model': it lacks 1 .*\(head\.bias\)"
    ):
        chosen(saved({"model": {name: ONE[name] for name in ONE if name != "head.bias"}}), **section)


class Elsewhere(torch.nn.Module):
    """A network whose code the engine does not have."""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (Elsewhere(), r"contains the Python object tests\..*\.Elsewhere, and loading that would execute code\. Where"),
        ({"model": Elsewhere(), "epoch": 7}, r"Elsewhere \(its entry 'model'\), .*torch\.load\(path, w"),
        ({"model": Elsewhere(), "best": torch.ones(())}, r"Elsewhere \(its entry 'model'\)"),
        ({**ONE, "args": Elsewhere()}, r"Elsewhere \(its entry 'args'\)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickled_module_is_refused_with_the_recipe(content: object, told: str, *, legacy: bool) -> None:
    with pytest.raises(WeightsFileError, match=told):
        chosen(saved(content, _use_new_zipfile_serialization=not legacy))


NAMES = st.sampled_from(["model", "ema", "state_dict", "module", "best.one", "x", "", "_orig_mod", "head"])
TENSORS = st.sampled_from([ONE, TWO, state(3.0, width=2), {"fc.weight": torch.ones(2, 2)}, dict(list(ONE.items())[:9])])


@st.composite
def contents(draw: st.DrawFn) -> object:
    """A checkpoint: dictionaries of dictionaries of tensors, with prefixes of their names, and other things."""
    content: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 3))):
        tensors = below("".join(f"{name}." for name in draw(st.lists(NAMES, max_size=2))), draw(TENSORS))
        place = draw(st.lists(NAMES, max_size=3))
        inner = content
        for name in place:
            found = inner.setdefault(name, {})
            inner = found if isinstance(found, dict) else inner
        inner.update(tensors)
    return content


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(contents(), st.sampled_from(["zip", "legacy", "safetensors"]), st.none() | NAMES.filter(bool))
def test_what_pull_model_accepts_the_engine_loads(content: Any, how: str, key: str | None) -> None:
    if how == "safetensors":
        data = safetensors({name: value for name, value in content.items() if isinstance(value, torch.Tensor)})
    else:
        data = saved(content, _use_new_zipfile_serialization=how == "zip")
    section: dict[str, Any] = {} if key is None else {"weights_key": key}
    try:
        params = complete_params(ModelSection(section, "params.yaml"), io.BytesIO(data), "it").params
    except ModelLoadError:
        # The engine refuses it as well, whatever parameters it is given.
        for width in (1, 2):
            fixed = unet_params(arguments={"width": width, "depth": 1}, **section)
            _same_decision(data, fixed)
        return
    assert float(load_network(model_ref(data, params), data, CPU).forward.head.bias) in (1.0, 2.0, 3.0)  # type: ignore[union-attr, arg-type]


def _same_decision(data: bytes, params: Any) -> None:
    try:
        check_weights(params, io.BytesIO(data), "it")
    except ModelLoadError:
        with pytest.raises(ModelLoadError):
            load_network(model_ref(data, params), data, CPU)
    else:
        load_network(model_ref(data, params), data, CPU)
