"""Loads a program written by `torch.export.save`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from cloudseg_ops.contracts.errors import UnsafeProgramError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.engine.images.sizes import stride_of
from cloudseg_ops.engine.network.device import is_device_failure, is_out_of_memory
from cloudseg_ops.engine.network.finite import require_finite_program
from cloudseg_ops.engine.network.network import InputSize, Network, tile_size
from cloudseg_ops.engine.network.outputs import Output
from cloudseg_ops.engine.network.program_guard import open_program
from cloudseg_ops.engine.network.program_outputs import (
    ProgramTensor,
    choose_output,
    inputs_of,
    outputs_of,
    use_output,
)
from cloudseg_ops.engine.network.program_passes import prepare_program
from cloudseg_ops.engine.network.program_ranges import multiple_of, ranges_of
from cloudseg_ops.engine.network.reference import load_error, locate

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool)


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
        inputs, outputs = inputs_of(program), outputs_of(program)
        forward: nn.Module = program.module()
    except UnsafeProgramError:
        raise
    except Exception as error:
        if is_out_of_memory(error) or is_device_failure(error):
            raise
        raise load_error(ref, error, "the weights file must be what torch.export.save wrote") from error
    images = _check_input(ref, inputs)
    size = _input_size(ref, images)
    try:
        index = choose_output(outputs, ref.params)
    except LookupError as error:
        raise load_error(ref, str(error), "one of the tensors that it returns") from None
    _check_output(ref, outputs[index])
    use_output(forward, index)
    require_finite_program(locate(ref), forward)
    if prepare_program(forward):
        # A negative variance, for example, makes finite weights NaN.
        require_finite_program(f"{locate(ref)}, with its batch normalization folded into convolutions,", forward)
    (fewest, _), _, height, width = ranges_of(program, images)
    return Network(
        forward,
        device,
        Output.of(ref, outputs[index].name),
        1 if size and size.is_fixed else math.lcm(stride_of(ref.params), *map(multiple_of, images.shape[2:])),
        batch=images.shape[0] if isinstance(images.shape[0], int) else None,
        size=size,
        fewest=fewest,
        least=(height[0], width[0]),
        most=(height[1], width[1]),
        dtype=images.dtype,
    )


def _check_input(ref: ModelRef, inputs: Sequence[ProgramTensor]) -> ProgramTensor:
    """Return the program's input, if it is for images of these parameters."""
    channels = ref.params.in_channels
    expected = f"it must take images alone, of shape (N, {channels}, height, width) and type float32"
    listed = "; ".join(map(str, inputs))
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise load_error(ref, f"it takes {listed or 'nothing'}", expected)
    (images,) = inputs
    if images.dtype in _INTEGERS:
        raise load_error(ref, f"it takes {listed}", f"{expected}: convert and normalize outside of the network")
    if isinstance(images.shape[1], int) and images.shape[1] != channels:
        raise load_error(
            ref, f"it takes {listed}", f"in_channels must be the {images.shape[1]} channels that the program takes"
        )
    return images


def _input_size(ref: ModelRef, images: ProgramTensor) -> InputSize | None:
    """Return the only height and width that photographs get, by the program or by the parameters."""
    params = ref.params
    height, width = images.shape[2:]
    if isinstance(height, int) and isinstance(width, int):
        if params.input_size not in (None, (height, width)):
            found = f"it takes images of {height} × {width} pixels only, and input_size is {list(params.input_size)}"
            raise load_error(ref, found, f"input_size [{height}, {width}], or none")
        return InputSize(height, width, params.fit or "resize", is_fixed=True)
    if isinstance(height, int) or isinstance(width, int):
        raise load_error(
            ref, f"it takes {images}, so one side is fixed", "export it with both sides dynamic, or with both fixed"
        )
    if params.fit and not params.input_size:
        raise load_error(ref, f"it takes images of any size, and fit is {params.fit}", "set input_size, or remove fit")
    return tile_size(params)


def _check_output(ref: ModelRef, output: ProgramTensor) -> None:
    """Check what is known of an output before any image is computed."""
    params = ref.params
    if output.dtype in _INTEGERS and params.output != "classes":
        raise load_error(ref, f"it returns {output}, which are class indices", "set `output: classes`")
    channels = output.shape[1] if len(output.shape) == 4 else None
    if params.output != "classes" and isinstance(channels, int) and channels != params.n_classes:
        raise load_error(
            ref, f"it returns {output}", f"n_classes must be the {channels} channels that the program returns"
        )
