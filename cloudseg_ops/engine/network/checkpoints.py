"""Builds a built-in network from a state dict."""

from __future__ import annotations

import io
import pickle

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cloudseg_ops.contracts.architectures import ARCHITECTURES
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.sizes import stride_of
from cloudseg_ops.engine.network.device import is_out_of_memory
from cloudseg_ops.engine.network.finite import require_finite_weights
from cloudseg_ops.engine.network.network import Network, tile_size
from cloudseg_ops.engine.network.outputs import Output
from cloudseg_ops.engine.network.reference import load_error, locate


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
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        # Copied, not assigned: with the memory layout of the file, a pass took a tenth longer.
        network.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError, ValueError, EOFError, KeyError, AttributeError, pickle.UnpicklingError) as error:
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


def _fold_batch_norm(network: nn.Module) -> None:
    """Fold each batch norm into the preceding convolution: in evaluation mode, both are linear."""
    for block in network.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for index in range(len(block) - 1):
            conv, norm = block[index], block[index + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[index], block[index + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
