"""From the bytes of a weights file to a network on a device."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cloudseg_ops.contracts.architectures import ARCHITECTURES, EXPORTED
from cloudseg_ops.contracts.errors import ModelLoadError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.sizes import stride_of
from cloudseg_ops.engine.network.device import allow_tf32, is_device_failure, is_out_of_memory
from cloudseg_ops.engine.network.reference import describe

_MAX_DETAIL = 800
_CONVOLUTIONS = (
    torch.ops.aten.conv2d.default,
    torch.ops.aten.conv2d.padding,
    torch.ops.aten.conv_transpose2d.input,
    torch.ops.aten.convolution.default,
)
"""Operations of exported programs that autocast computes in bfloat16, weights and biases included."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network ready to run.

    Attributes:
        forward: From normalized images (N, in_channels, H, W) to logits (N, n_classes, H, W).
        device: Where it is.
        stride: H and W must be multiples of it.
        any_batch: Whether N may be any number; else it is 1.
        dtype: Of its weights, and of the images that it takes.
        autocast: Compute convolutions in bfloat16 all the same.
        tf32: On a GPU, compute in TF32 what is computed in float32.
        exact: The same network in float32, where this one is of a lower precision.
        narrowest: Makes a network of one channel with the same receptive field that computes fastest, if there is one.
        built_in: Whether it is one of cloudseg's architectures, all of which can be converted to bfloat16.
    """

    forward: nn.Module
    device: torch.device
    stride: int
    any_batch: bool = True
    dtype: torch.dtype = torch.float32
    autocast: bool = False
    tf32: bool = False
    exact: Network | None = None
    narrowest: Callable[[], nn.Module] | None = None
    built_in: bool = False

    def run(self, images: torch.Tensor) -> torch.Tensor:
        """Give the logits of normalized images, float32, shape (N, in_channels, H, W), on the device."""
        if self.device.type == "cuda":
            # The switch is the process's; networks that differ in it never run at the same time.
            allow_tf32(allowed=self.tf32)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            logits: torch.Tensor = self.forward(images.to(self.dtype))
        return logits

    @property
    def bf16(self) -> bool:
        """Whether convolutions are computed in bfloat16."""
        return self.autocast or self.dtype == torch.bfloat16

    @property
    def precision(self) -> str:
        """The precision of convolutions, in words."""
        return "bfloat16" if self.bf16 else "TF32" if self.tf32 else "float32"

    def in_bf16(self) -> Network:
        """Give the same network with convolutions in bfloat16; this one stays as it is.

        A built-in network is converted once. In an exported program only convolutions are known to bear it, and
        autocast finds them; their weights are converted once.
        """
        if self.built_in:
            converted = copy.deepcopy(self.forward).to(torch.bfloat16)
            return replace(self, forward=converted, dtype=torch.bfloat16, exact=self)
        return replace(self, forward=with_bf16_convolutions(self.forward), autocast=True, exact=self)

    def in_tf32(self) -> Network:
        """Return the same network with float32 computed in TF32."""
        return replace(self, tf32=True, exact=self)


def load_network(ref: ModelRef, data: bytes, device: torch.device) -> Network:
    """Build the network of a model on a device, in evaluation mode.

    Raises:
        ModelLoadError: The bytes do not fit the parameters.
    """
    if ref.params.architecture == EXPORTED:
        return _load_exported(ref, data, device)
    return _load_built_in(ref, data, device)


def _load_built_in(ref: ModelRef, data: bytes, device: torch.device) -> Network:
    params = ref.params
    architecture = ARCHITECTURES[params.architecture]
    if unknown := params.arguments.keys() - architecture.arguments:
        known = " and ".join(sorted(architecture.arguments, reverse=True))
        raise _misfit(ref, f"arguments {', '.join(sorted(unknown))} are unknown", f"`model.arguments` may name {known}")
    build = architecture.load()
    network: nn.Module = build(params.in_channels, params.n_classes, **params.arguments)
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        # Copied, not assigned: on weights that lie as they came from the file, a pass took a tenth longer.
        network.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError, ValueError, EOFError, KeyError, AttributeError, pickle.UnpicklingError) as error:
        if is_out_of_memory(error):
            raise
        kind = type(network).__name__
        raise _misfit(ref, error, f"the weights file must be the state dict of a {kind} of exactly these") from error
    network.eval().requires_grad_(requires_grad=False)
    _fold_batch_norm(network)
    # Convolutions are fastest with the channels of a pixel side by side, on GPUs and CPUs alike.
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    narrow = architecture.narrowest
    narrowest = (lambda: build(1, 1, **narrow(params.arguments))) if narrow else None
    return Network(network, device, stride_of(params), narrowest=narrowest, built_in=True)


def _fold_batch_norm(network: nn.Module) -> None:
    """Make each batch norm part of the convolution before it: in evaluation it is a linear map, too."""
    for block in network.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for index in range(len(block) - 1):
            conv, norm = block[index], block[index + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[index], block[index + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def _load_exported(ref: ModelRef, data: bytes, device: torch.device) -> Network:
    try:
        program = torch.export.load(io.BytesIO(data))
        if device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
        shape = _input_shape(program)
        forward: nn.Module = program.module()
    except Exception as error:
        if is_out_of_memory(error) or is_device_failure(error):
            raise
        raise _misfit(ref, error, "the weights file must be what torch.export.save wrote") from error
    if len(shape) != 4 or shape[1] != ref.params.in_channels or isinstance(shape[2], int) or isinstance(shape[3], int):
        raise _misfit(
            ref,
            f"its input is of shape {tuple(shape)}",
            f"it must take images of shape (N, {ref.params.in_channels}, H, W), exported with dynamic H and W",
        )
    if device.type == "cuda":
        # Or cuDNN would turn them around at each pass: the images' channels lie side by side. No other parameters, of
        # which a program may take views that this layout does not have.
        for parameter in _convolution_parameters(forward).values():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return Network(forward, device, stride_of(ref.params), any_batch=not isinstance(shape[0], int))


def _input_shape(program: torch.export.ExportedProgram) -> list[int | torch.SymInt]:
    """Give the shape that a program was exported with; dimensions it leaves open are symbols."""
    names = program.graph_signature.user_inputs
    images: Any = next(node for node in program.graph.nodes if node.name == names[0])
    return list(images.meta["val"].shape)


def _misfit(ref: ModelRef, found: object, expected: str) -> ModelLoadError:
    params = ref.params
    detail = f"{type(found).__name__}: {found}" if isinstance(found, Exception) else str(found)
    detail = " ".join(detail.split())[:_MAX_DETAIL]
    return ModelLoadError(
        f"{describe(ref)} at {ref.uri} does not fit its parameters (architecture {params.architecture}, in_channels "
        f"{params.in_channels}, n_classes {params.n_classes}, arguments {params.arguments}): {detail}. Expected: "
        f"{expected}; correct params.yaml or the weights file in the registry"
    )


def with_bf16_convolutions(program: nn.Module) -> nn.Module:
    """Copy an exported program, with the weights that only convolutions use in bfloat16.

    Autocast leaves such weights as they are; others it would convert at each pass, which takes as long as reading all
    of them. The results are the same to the bit.

    Args:
        program: The module of an exported program, with its weights in float32.
    """
    # Weights are shared with the program but for those that are converted.
    shared = {id(tensor): tensor for tensor in (*program.parameters(), *program.buffers())}
    with warnings.catch_warnings():
        # PyTorch's own: copying a program's signature uses what it has deprecated. A log is for what people can change.
        warnings.simplefilter("ignore", FutureWarning)
        program = copy.deepcopy(program, dict(shared))
    for name, parameter in _convolution_parameters(program).items():
        owner, _, leaf = name.rpartition(".")
        converted = nn.Parameter(parameter.to(torch.bfloat16), requires_grad=False)
        setattr(program.get_submodule(owner), leaf, converted)
    return program


def _convolution_parameters(program: nn.Module) -> dict[str, nn.Parameter]:
    """Give the parameters that only convolutions use, as weight or bias, by name."""
    graph = getattr(program, "graph", None)
    if graph is None:
        return {}
    only_convolutions: dict[str, bool] = {}
    for node in graph.nodes:
        if node.op == "get_attr":
            seen = only_convolutions.get(str(node.target), True)
            only_convolutions[str(node.target)] = seen and all(_is_weight_of(user, node) for user in node.users)
    parameters = dict(program.named_parameters(remove_duplicate=False))
    names = Counter(id(parameter) for parameter in parameters.values())
    return {
        name: parameter
        for name, parameter in parameters.items()
        # A tensor with a second name may be used under it elsewhere.
        if only_convolutions.get(name) and names[id(parameter)] == 1
    }


def _is_weight_of(user: Any, node: Any) -> bool:
    """Tell whether a node of a graph is a convolution with another node for its weight or bias, not for its image."""
    return user.target in _CONVOLUTIONS and node not in (user.args[0], user.kwargs.get("input"))
