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
    """

    network: str
    arguments: frozenset[str]
    stride: Callable[[Arguments], int]
    narrowest: Callable[[Arguments], dict[str, int]] | None = None

    def load(self) -> Callable[..., Any]:
        """Import the network's class."""
        loaded: Callable[..., Any] = import_reference(self.network)
        return loaded


_UNET_DEPTH = 4

ARCHITECTURES: dict[str, Architecture] = {
    "unet": Architecture(
        network="cloudseg_ops.engine.network.networks:UNet",
        arguments=frozenset({"width", "depth"}),
        stride=lambda arguments: int(2 ** arguments.get("depth", _UNET_DEPTH)),
        # The receptive field of a U-Net does not depend on its width.
        narrowest=lambda arguments: {"width": 1, "depth": arguments.get("depth", _UNET_DEPTH)},
    ),
}
