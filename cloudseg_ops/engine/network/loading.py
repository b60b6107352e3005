"""Builds a network on a device from the bytes of a weights file."""

from __future__ import annotations

import io

import torch

from cloudseg_ops.contracts.architectures import EXPORTED
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.weights_check import check_weights
from cloudseg_ops.engine.network.checkpoints import load_checkpoint
from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.network.programs import load_program
from cloudseg_ops.engine.network.reference import locate


def load_network(ref: ModelRef, data: bytes, device: torch.device) -> Network:
    """Build the network of a model on a device, in evaluation mode.

    Args:
        ref: The model.
        data: Contents of its weights file.
        device: The device to which the weights are copied.

    Raises:
        ModelLoadError: The weights file does not fit the parameters, or contains NaN or infinite values.
    """
    check_weights(ref.params, io.BytesIO(data), locate(ref), allowed_operators=ref.allowed_operators)
    load = load_program if ref.params.architecture == EXPORTED else load_checkpoint
    return load(ref, data, device)
