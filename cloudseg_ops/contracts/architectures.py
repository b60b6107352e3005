"""The table of built-in network architectures: a new one needs an entry here and its module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cloudseg_ops.contracts.imports import import_reference

EXPORTED = "exported"
"""The name for models that are not built in: the weights file is a program written by `torch.export.save`."""

Arguments = Mapping[str, int]
"""The `model.arguments` of params.yaml."""
Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of a state dict's tensors, by name."""


@dataclass(frozen=True, slots=True)
class StateDictRule:
    """What the state dict of an architecture consists of, so that a weights file can be checked without PyTorch.

    Attributes:
        shapes: Function from in_channels, n_classes and the arguments to the shapes of the tensors, by name.
        infer: Function from the shapes found in a file to the in_channels, n_classes and arguments, by name, that it
            may have been made with. Called with any file, it may raise KeyError or IndexError.
    """

    shapes: Callable[[int, int, Arguments], Shapes]
    infer: Callable[[Shapes], dict[str, int]]


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that is part of cloudseg; its weights are a state dict.

    Attributes:
        network: `module:class` of a `torch.nn.Module`, called with in_channels, n_classes and the arguments. Only
            `load` imports it, so that parameters can be checked without PyTorch.
        arguments: Names allowed in `model.arguments`.
        stride: Function from the arguments to the number that heights and widths must be multiples of.
        narrowest: Function from the arguments to those of the fastest network with the same receptive field, which is
            then measured on that network. None: measure it on the network itself.
        state_dict: Names and shapes of the tensors in a weights file. None: only the kind of file is checked before a
            chunk starts.
    """

    network: str
    arguments: frozenset[str]
    stride: Callable[[Arguments], int]
    narrowest: Callable[[Arguments], dict[str, int]] | None = None
    state_dict: StateDictRule | None = None

    def load(self) -> Callable[..., Any]:
        """Import the network's class."""
        loaded: Callable[..., Any] = import_reference(self.network)
        return loaded


_UNET_WIDTH = 64
_UNET_DEPTH = 4


def _batch_norm(name: str, channels: int) -> Shapes:
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{vector}": (channels,) for vector in vectors}, f"{name}.num_batches_tracked": ()}


def _double_conv(name: str, in_channels: int, out_channels: int) -> Shapes:
    return {
        f"{name}.0.weight": (out_channels, in_channels, 3, 3),
        **_batch_norm(f"{name}.1", out_channels),
        f"{name}.3.weight": (out_channels, out_channels, 3, 3),
        **_batch_norm(f"{name}.4", out_channels),
    }


def _unet_shapes(in_channels: int, n_classes: int, arguments: Arguments) -> Shapes:
    depth = arguments.get("depth", _UNET_DEPTH)
    widths = [arguments.get("width", _UNET_WIDTH) * 2**level for level in range(depth + 1)]
    shapes: dict[str, tuple[int, ...]] = dict(_double_conv("stem", in_channels, widths[0]))
    for level in range(depth):
        above, below = widths[level], widths[level + 1]
        shapes |= _double_conv(f"down.{level}", above, below)
        # The decoder begins at the deepest level.
        place = depth - 1 - level
        shapes |= {f"up.{place}.weight": (below, above, 2, 2), f"up.{place}.bias": (above,)}
        shapes |= _double_conv(f"merge.{place}", below, above)
    return {**shapes, "head.weight": (n_classes, widths[0], 1, 1), "head.bias": (n_classes,)}


def _infer_unet(found: Shapes) -> dict[str, int]:
    depth = 0
    while f"down.{depth}.0.weight" in found:
        depth += 1
    width, in_channels = found["stem.0.weight"][:2]
    return {"in_channels": in_channels, "n_classes": found["head.weight"][0], "width": width, "depth": depth}


ARCHITECTURES: dict[str, Architecture] = {
    "unet": Architecture(
        network="cloudseg_ops.engine.network.networks:UNet",
        arguments=frozenset({"width", "depth"}),
        stride=lambda arguments: int(2 ** arguments.get("depth", _UNET_DEPTH)),
        # The receptive field of a U-Net does not depend on its width.
        narrowest=lambda arguments: {"width": 1, "depth": arguments.get("depth", _UNET_DEPTH)},
        state_dict=StateDictRule(_unet_shapes, _infer_unet),
    ),
}
