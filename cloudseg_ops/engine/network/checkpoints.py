"""Builds a built-in network from a state dict."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cloudseg_ops.contracts.architectures import ARCHITECTURES
from cloudseg_ops.contracts.checkpoint_file import Checkpoint
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.tensor_info import TensorInfo
from cloudseg_ops.contracts.weights_check import find_weights, read_checkpoint
from cloudseg_ops.contracts.weights_kind import kind_of
from cloudseg_ops.engine.images.sizes import stride_of
from cloudseg_ops.engine.network.device import is_out_of_memory
from cloudseg_ops.engine.network.finite import require_finite_weights
from cloudseg_ops.engine.network.network import Network, tile_size
from cloudseg_ops.engine.network.outputs import Output
from cloudseg_ops.engine.network.reference import load_error, locate

_DTYPES = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
}
"""Types of weights, and of the counters of batch norms."""

_log = logging.getLogger(__name__)


def load_checkpoint(ref: ModelRef, data: bytes, device: torch.device) -> Network:
    """Build a built-in network, with its batch normalization folded into convolutions, in evaluation mode.

    Args:
        ref: The model.
        data: Contents of its weights file.
        device: The device to which the weights are copied.

    Raises:
        ModelLoadError: The weights file does not fit the parameters, or contains NaN or infinite values.
    """
    params = ref.params
    architecture = ARCHITECTURES[params.architecture]
    build = architecture.load()
    network: nn.Module = build(params.in_channels, params.n_classes, **params.arguments)
    try:
        state = _read_state(ref, data, network)
        # Copied, not assigned: with the memory layout of the file, a pass took a tenth longer.
        network.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        if is_out_of_memory(error):
            raise
        kind = type(network).__name__
        raise load_error(ref, error, f"the weights file must be the state dict of a {kind} of exactly these") from error
    network.eval().requires_grad_(requires_grad=False)
    require_finite_weights(locate(ref), network.state_dict(), saved=state)
    _fold_batch_norm(network)
    # A negative variance, for example, makes finite weights NaN.
    require_finite_weights(
        f"{locate(ref)}, with its batch normalization folded into convolutions,", network.state_dict()
    )
    # Convolutions are fastest in the channels-last layout, on GPUs and CPUs.
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    narrow = architecture.narrowest
    narrowest = (lambda: build(1, 1, **narrow(params.arguments))) if narrow else None
    return Network(
        network,
        device,
        Output.of(ref),
        stride_of(params),
        size=tile_size(params),
        narrowest=narrowest,
        built_in=True,
    )


def _read_state(ref: ModelRef, data: bytes, network: nn.Module) -> Mapping[str, torch.Tensor]:
    """Return the tensors of the network's state dict, by the names that the network has for them."""
    file = io.BytesIO(data)
    checkpoint = read_checkpoint(file, kind_of(file), locate(ref))
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = find_weights(ref.params, checkpoint, expected, locate(ref))
    if found.note:
        _log.info("%s: %s", locate(ref), found.note)
    return {name: _read_tensor(checkpoint, tensor) for name, tensor in found.state_dict.tensors.items()}


def _read_tensor(checkpoint: Checkpoint, info: TensorInfo) -> torch.Tensor:
    """Copy a tensor's values from the file."""
    dtype = _DTYPES[info.storage]
    values = bytearray(checkpoint.values(info))
    if not values:
        return torch.empty(info.shape, dtype=dtype)
    flat = torch.frombuffer(values, dtype=dtype)
    if checkpoint.big_endian:
        flat.untyped_storage().byteswap(dtype)  # type: ignore[no-untyped-call]
    return flat.reshape(info.shape) if info.strides is None else flat.as_strided(info.shape, info.strides)


def _fold_batch_norm(network: nn.Module) -> None:
    """Fold each batch norm into the preceding convolution: in evaluation mode, both are linear."""
    for block in network.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for index in range(len(block) - 1):
            conv, norm = block[index], block[index + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[index], block[index + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
