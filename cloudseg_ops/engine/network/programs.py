"""Loads a program written by `torch.export.save`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cloudseg_ops.contracts.errors import UnsafeProgramError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.sizes import stride_of
from cloudseg_ops.engine.network.device import is_device_failure, is_out_of_memory
from cloudseg_ops.engine.network.finite import require_finite_program
from cloudseg_ops.engine.network.network import Network
from cloudseg_ops.engine.network.program_guard import open_program
from cloudseg_ops.engine.network.program_passes import convolution_parameters
from cloudseg_ops.engine.network.reference import load_error, locate


def load_program(ref: ModelRef, data: bytes, device: torch.device) -> Network:
    """Load an exported program.

    Args:
        ref: The model.
        data: Contents of its weights file.
        device: The device to which the weights are copied.

    Raises:
        UnsafeProgramError: It could run code when it is opened.
        ModelLoadError: It is not a program for images of these parameters, or contains NaN or infinite values.
    """
    try:
        program = open_program(data, locate(ref), ref.allowed_operators)
        if device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
        shape = _input_shape(program)
        forward: nn.Module = program.module()
    except UnsafeProgramError:
        raise
    except Exception as error:
        if is_out_of_memory(error) or is_device_failure(error):
            raise
        raise load_error(ref, error, "the weights file must be what torch.export.save wrote") from error
    if len(shape) != 4 or shape[1] != ref.params.in_channels or isinstance(shape[2], int) or isinstance(shape[3], int):
        raise load_error(
            ref,
            f"its input is of shape {tuple(shape)}",
            f"it must take images of shape (N, {ref.params.in_channels}, H, W), exported with dynamic H and W",
        )
    require_finite_program(locate(ref), forward)
    if device.type == "cuda":
        # Images are channels last, so cuDNN would convert other weights in each pass. Other parameters keep their
        # layout: the program may take views of them that channels last does not support.
        for parameter in convolution_parameters(forward).values():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return Network(forward, device, stride_of(ref.params), any_batch=not isinstance(shape[0], int))


def _input_shape(program: torch.export.ExportedProgram) -> list[int | torch.SymInt]:
    """Return the input shape that a program was exported with; dynamic dimensions are symbols."""
    names = program.graph_signature.user_inputs
    images: Any = next(node for node in program.graph.nodes if node.name == names[0])
    return list(images.meta["val"].shape)
