"""Exports a trained network as a program that the engine runs, in one call: `export_network`.

Needs PyTorch alone, so that it can be used, or copied, where networks are trained.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

_TOLERANCE = 1e-3
"""Largest difference between the exported and the eager network, as a share of the largest value."""
_MAX_SIDE = 1 << 15
_MAX_BATCH = 1 << 12
_LEAST = 2
"""Multiples in the smallest height and width: `torch.export` specializes inner layers whose size is 1."""
_DETAIL = 240


@dataclass(frozen=True, slots=True)
class Exported:
    """A program that was written, and how params.yaml describes it.

    Attributes:
        path: The program's file.
        model: The `model` section of params.yaml.
        notes: What restricts the program or was assumed; one sentence each.
    """

    path: Path
    model: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def yaml(self) -> str:
        """The text of params.yaml."""
        # A value in JSON is a value in YAML.
        lines = [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in self.model.items()]
        return "\n".join([*(f"# {note}" for note in self.notes), "model:", *lines, ""])


def export_network(
    network: nn.Module,
    path: str | Path,
    *,
    in_channels: int = 3,
    multiple: int = 32,
    example_size: tuple[int, int] = (256, 320),
    output: str | None = None,
    classes: Sequence[str] = (),
    normalize: tuple[Sequence[float], Sequence[float]] | None = None,
    max_side: int | None = None,
) -> Exported:
    """Export a network, check the program against the network on another size, and write it.

    Batch, height and width become dynamic if the network allows it. If it does not, the program takes one batch size,
    or one height and width, and a note says why. The network is moved to the CPU, to float32 and to evaluation mode.
    It may return a tensor, or a tuple, a dict or an object that contains one: entry `out`, attribute `logits`, or the
    first tensor of four dimensions.

    Args:
        network: Maps images (N, in_channels, H, W) to logits or probabilities (N, n_classes, H, W) or to class indices
            (N, H, W). Its output may be smaller than the images, as SegFormer's: the engine scales it.
        path: The file to write, such as `model.pt2`.
        in_channels: Channels of the images.
        multiple: Heights and widths must be multiples of it: at least the network's stride.
        example_size: Height and width to trace the network with, two different multiples of `multiple`. If the network
            allows only one size, that is the size.
        output: `logits`, `probabilities` or `classes`; None: seen from the values.
        classes: Names of the classes; class 0 is clear sky, class 1 is cloud. Required with more than two.
        normalize: Mean and standard deviation of each channel, for pixels scaled to 0–1; None: no normalization.
        max_side: Longest side of the network's input, in pixels: larger photographs are scaled down. None: no limit.

    Returns:
        The written program, with the `model` section for params.yaml.

    Raises:
        ValueError: An argument is invalid, the network cannot be exported, or the program's values differ from the
            network's. Nothing is written.
    """
    if multiple < 1 or any(side < _LEAST * multiple or side % multiple for side in example_size):
        raise ValueError(f"example_size {example_size} must be multiples of {multiple}, at least {_LEAST * multiple}")
    wrapped = _Unwrapped(network).to("cpu", torch.float32).eval()
    with torch.no_grad():
        shown = _run(wrapped, (1, in_channels, *example_size))
        kind = output or _kind_of(shown)
        n_classes = len(classes) or 1 if kind == "classes" else shown.shape[1]
        _check_names(classes, n_classes)
        program, form, refused = _export(wrapped, (in_channels, *example_size), multiple)
    notes = list(form.notes(example_size, refused))
    if kind == "probabilities" and not output:
        notes.append("All values are within 0–1, so they are taken for probabilities; output='logits' says otherwise.")
    model: dict[str, Any] = {"architecture": "exported", "in_channels": in_channels, "n_classes": n_classes}
    model |= {"classes": list(classes)} if classes else {}
    model |= {"normalize": dict(zip(("mean", "std"), map(list, normalize), strict=True))} if normalize else {}
    model |= {"size_multiple": multiple} if form.any_size else {"input_size": list(example_size)}
    model |= {"max_side": max_side} if max_side else {}
    model |= {"output": kind} if output or kind != "logits" else {}
    written = Path(path)
    _forget_origin(program)
    content = io.BytesIO()
    torch.export.save(program, content)
    partial = written.with_name(f".partial-{written.name}")
    partial.write_bytes(content.getbuffer())
    partial.replace(written)
    return Exported(written, model, tuple(notes))


class _Unwrapped(nn.Module):
    """A network that returns one tensor (N, channels, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = _tensor_in(self.network(images))
        return values.unsqueeze(1) if values.dim() == 3 else values


@dataclass(frozen=True, slots=True)
class _Form:
    """Which dimensions of a program's input are dynamic."""

    any_batch: bool
    any_size: bool

    def dynamic_shapes(self, multiple: int) -> dict[int, Any]:
        dims: dict[int, Any] = {0: Dim("batch", min=1, max=_MAX_BATCH)} if self.any_batch else {}
        if self.any_size:
            dims |= {
                axis: multiple * Dim(name, min=1, max=_MAX_SIDE // multiple)
                for axis, name in ((2, "rows"), (3, "columns"))
            }
        return dims

    def sizes(self, channels: int, height: int, width: int, multiple: int) -> Iterator[tuple[int, ...]]:
        """Yield the shapes on which the program is compared with the network."""
        sides = [(height, width)]
        if self.any_size:
            sides += [(width + multiple, height), (_LEAST * multiple, _LEAST * multiple)]
        for batch in (1, 3) if self.any_batch else (1,):
            for each in sides:
                yield batch, channels, *each

    def notes(self, size: tuple[int, int], refused: str) -> Iterator[str]:
        if not self.any_size:
            yield f"The program takes only images of {size[0]} × {size[1]}. {refused}"
        if not self.any_batch:
            yield f"The program takes one image at a time. {refused if self.any_size else ''}".strip()


_FORMS = (_Form(True, True), _Form(False, True), _Form(True, False), _Form(False, False))


def _export(network: nn.Module, example: tuple[int, int, int], multiple: int) -> tuple[ExportedProgram, _Form, str]:
    """Return the most general program that gives the network's values, its form, and why there is none more general."""
    refused = ""
    for form in _FORMS:
        try:
            images = torch.randn(2 if form.any_batch else 1, *example)
            dims = form.dynamic_shapes(multiple)
            program = torch.export.export(network, (images,), dynamic_shapes=(dims,), strict=False)
            _compare(network, program.module(), form.sizes(*example, multiple))
        except Exception as error:  # noqa: BLE001  PyTorch raises dozens of kinds for what it cannot trace
            refused = refused or " ".join(f"{type(error).__name__}: {error}".split())[:_DETAIL]
        else:
            return program, form, refused and f"PyTorch refused more: {refused}"
    raise ValueError(f"the network cannot be exported: {refused}")


def _forget_origin(program: ExportedProgram) -> None:
    """Remove the images that a program was traced with, and the paths and lines of the code that it came from."""
    program.example_inputs = None
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)


def _compare(network: nn.Module, program: nn.Module, sizes: Iterator[tuple[int, ...]]) -> None:
    for size in sizes:
        expected, found = _run(network, size), _run(program, size)
        apart = (found.float() - expected.float()).abs().max().item() if found.shape == expected.shape else math.inf
        if apart > _TOLERANCE * max(1.0, expected.float().abs().max().item()):
            raise ValueError(
                f"for images of shape {size}, the program's values differ from the network's by {apart:.3g}"
            )


def _run(network: nn.Module, size: Sequence[int]) -> torch.Tensor:
    """Run a network on pseudo-random images; the same size gives the same images."""
    values: torch.Tensor = network(torch.randn(*size, generator=torch.Generator().manual_seed(sum(size))))
    if values.dim() != 4 or values.shape[0] != size[0]:
        raise ValueError(f"for images of shape {tuple(size)}, the network returns {tuple(values.shape)}")
    if not values.float().isfinite().all():
        raise ValueError(f"for images of shape {tuple(size)}, the network returns NaN or infinite values")
    return values


def _tensor_in(found: Any) -> torch.Tensor:
    """Return the tensor of values in what a network returns."""
    if isinstance(found, torch.Tensor):
        return found
    for name in ("out", "logits"):
        value = found.get(name) if isinstance(found, Mapping) else None
        value = getattr(found, name, None) if value is None else value
        if isinstance(value, torch.Tensor):
            return value
    values = found.values() if isinstance(found, Mapping) else found if isinstance(found, Sequence) else ()
    first = next((value for value in values if isinstance(value, torch.Tensor) and value.dim() == 4), None)
    if first is None:
        raise ValueError(
            f"the network returns {type(found).__name__}, in which there is no tensor (N, n_classes, H, W)"
        )
    return first


def _kind_of(values: torch.Tensor) -> str:
    if not values.is_floating_point():
        return "classes"
    return "probabilities" if values.min() >= 0 and values.max() <= 1 else "logits"


def _check_names(classes: Sequence[str], n_classes: int) -> None:
    if len(classes) != max(n_classes, 2) and (classes or n_classes > 2):
        raise ValueError(f"the network has {max(n_classes, 2)} classes, and classes has {len(classes)} names")
