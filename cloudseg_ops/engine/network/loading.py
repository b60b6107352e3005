"""Builds a network on a device from the bytes of a weights file."""

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
from cloudseg_ops.contracts.weights_check import check_weights, mismatch_error
from cloudseg_ops.engine.images.sizes import stride_of
from cloudseg_ops.engine.network.device import allow_tf32, is_device_failure, is_out_of_memory
from cloudseg_ops.engine.network.finite import require_finite_program, require_finite_weights
from cloudseg_ops.engine.network.reference import describe

_MAX_DETAIL = 800
_CONVOLUTIONS = (
    torch.ops.aten.conv2d.default,
    torch.ops.aten.conv2d.padding,
    torch.ops.aten.conv_transpose2d.input,
    torch.ops.aten.convolution.default,
)
"""Operations of exported programs that autocast runs in bfloat16, including their weights and biases."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network ready to run.

    Attributes:
        forward: Maps normalized images (N, in_channels, H, W) to logits (N, n_classes, H, W).
        device: The device that holds its weights.
        stride: H and W must be multiples of it.
        any_batch: Whether N may be any number; if not, it must be 1.
        dtype: Type of the weights and of the images passed to `forward`.
        autocast: Whether convolutions run in bfloat16 although `dtype` is float32.
        tf32: Whether float32 operations run in TF32 on a GPU.
        exact: The same network in float32, if this one has a lower precision.
        narrowest: Builds the smallest network of one channel with the same receptive field; None if unknown.
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
        """Return the logits of normalized images, float32, shape (N, in_channels, H, W), on the device."""
        if self.device.type == "cuda":
            # The switch affects the whole process; networks with different settings never run concurrently.
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
        """Name of the precision of convolutions: `bfloat16`, `TF32` or `float32`."""
        return "bfloat16" if self.bf16 else "TF32" if self.tf32 else "float32"

    def in_bf16(self) -> Network:
        """Return a copy of this network that computes convolutions in bfloat16.

        A built-in network is converted as a whole. In an exported program, only convolutions are known to tolerate
        bfloat16: autocast selects them, and their weights are converted in advance.
        """
        if self.built_in:
            converted = copy.deepcopy(self.forward).to(torch.bfloat16)
            return replace(self, forward=converted, dtype=torch.bfloat16, exact=self)
        return replace(self, forward=with_bf16_convolutions(self.forward), autocast=True, exact=self)

    def in_tf32(self) -> Network:
        """Return this network with float32 operations computed in TF32."""
        return replace(self, tf32=True, exact=self)


def load_network(ref: ModelRef, data: bytes, device: torch.device) -> Network:
    """Build the network of a model on a device, in evaluation mode.

    Args:
        ref: The model.
        data: Contents of its weights file.
        device: The device to which the weights are copied.

    Raises:
        ModelLoadError: The weights file does not fit the parameters, or contains NaN or infinite values.
    """
    check_weights(ref.params, io.BytesIO(data), _where(ref))
    if ref.params.architecture == EXPORTED:
        return _load_exported(ref, data, device)
    return _load_built_in(ref, data, device)


def _load_built_in(ref: ModelRef, data: bytes, device: torch.device) -> Network:
    params = ref.params
    architecture = ARCHITECTURES[params.architecture]
    build = architecture.load()
    network: nn.Module = build(params.in_channels, params.n_classes, **params.arguments)
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        # Copied, not assigned: with the memory layout of the file, a pass took a tenth longer.
        network.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError, ValueError, EOFError, KeyError, AttributeError, pickle.UnpicklingError) as error:
        if is_out_of_memory(error):
            raise
        kind = type(network).__name__
        raise _mismatch_error(
            ref, error, f"the weights file must be the state dict of a {kind} of exactly these"
        ) from error
    network.eval().requires_grad_(requires_grad=False)
    require_finite_weights(_where(ref), network.state_dict(), saved=state)
    _fold_batch_norm(network)
    # A negative variance, for example, makes finite weights NaN.
    require_finite_weights(
        f"{_where(ref)}, with its batch normalization folded into convolutions,", network.state_dict()
    )
    # Convolutions are fastest in the channels-last layout, on GPUs and CPUs.
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    narrow = architecture.narrowest
    narrowest = (lambda: build(1, 1, **narrow(params.arguments))) if narrow else None
    return Network(network, device, stride_of(params), narrowest=narrowest, built_in=True)


def _fold_batch_norm(network: nn.Module) -> None:
    """Fold each batch norm into the preceding convolution: in evaluation mode, both are linear."""
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
        raise _mismatch_error(ref, error, "the weights file must be what torch.export.save wrote") from error
    if len(shape) != 4 or shape[1] != ref.params.in_channels or isinstance(shape[2], int) or isinstance(shape[3], int):
        raise _mismatch_error(
            ref,
            f"its input is of shape {tuple(shape)}",
            f"it must take images of shape (N, {ref.params.in_channels}, H, W), exported with dynamic H and W",
        )
    require_finite_program(_where(ref), forward)
    if device.type == "cuda":
        # Images are channels last, so cuDNN would convert other weights in each pass. Other parameters keep their
        # layout: the program may take views of them that channels last does not support.
        for parameter in _convolution_parameters(forward).values():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return Network(forward, device, stride_of(ref.params), any_batch=not isinstance(shape[0], int))


def _input_shape(program: torch.export.ExportedProgram) -> list[int | torch.SymInt]:
    """Return the input shape that a program was exported with; dynamic dimensions are symbols."""
    names = program.graph_signature.user_inputs
    images: Any = next(node for node in program.graph.nodes if node.name == names[0])
    return list(images.meta["val"].shape)


def _mismatch_error(ref: ModelRef, found: object, expected: str) -> ModelLoadError:
    detail = f"{type(found).__name__}: {found}" if isinstance(found, Exception) else str(found)
    return mismatch_error(ref.params, _where(ref), " ".join(detail.split())[:_MAX_DETAIL], expected)


def _where(ref: ModelRef) -> str:
    return f"{describe(ref)} at {ref.uri}"


def with_bf16_convolutions(program: nn.Module) -> nn.Module:
    """Copy an exported program, and convert the weights used only by convolutions to bfloat16.

    This saves autocast the conversion of the weights in each pass. The results are identical.

    Args:
        program: The module of an exported program, with its weights in float32.
    """
    # The copy shares all weights with the program except those that are converted.
    shared = {id(tensor): tensor for tensor in (*program.parameters(), *program.buffers())}
    with warnings.catch_warnings():
        # Copying a program's signature makes PyTorch report deprecations in its code, about which users can do nothing.
        warnings.simplefilter("ignore", FutureWarning)
        program = copy.deepcopy(program, dict(shared))
    for name, parameter in _convolution_parameters(program).items():
        owner, _, leaf = name.rpartition(".")
        converted = nn.Parameter(parameter.to(torch.bfloat16), requires_grad=False)
        setattr(program.get_submodule(owner), leaf, converted)
    return program


def _convolution_parameters(program: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters used only by convolutions, as weight or bias, by name."""
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
        # A tensor with a second name may be used elsewhere under that name.
        if only_convolutions.get(name) and names[id(parameter)] == 1
    }


def _is_weight_of(user: Any, node: Any) -> bool:
    """Return whether `user` is a convolution that takes `node` as its weight or bias, not as its input."""
    return user.target in _CONVOLUTIONS and node not in (user.args[0], user.kwargs.get("input"))
