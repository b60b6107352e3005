"""The operations that `benchmarks.gpu.slim` runs in a separate process."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LEFT_OUT = {
    "fft": "torch.fft.rfft2(x)",
    "linalg": "torch.linalg.inv(x[0, 0] + torch.eye(64, device=x.device))",
    "sparse": "x[0, 0].to_sparse_csr() @ x[0, 0]",
    "rnn": "torch.nn.LSTM(64, 8).to(x.device)(x[0])",
}


def main(device: str, probe: str) -> None:
    """Run the cases, or an expression that needs a removed feature, and print the results."""
    started = time.monotonic()
    import torch

    seconds = {"import": round(time.monotonic() - started, 3)}
    started = time.monotonic()
    x = torch.ones(1, 1, 64, 64, device=device)
    _synchronize(device)
    seconds["device"] = round(time.monotonic() - started, 3)
    if probe != "cases":
        expression = LEFT_OUT[probe]
        print(eval(expression, {"torch": torch, "x": x}))  # an expression of the table above
        return
    started = time.monotonic()
    torch.nn.functional.conv2d(x, torch.ones(8, 1, 3, 3, device=device))
    _synchronize(device)
    seconds["first_convolution"] = round(time.monotonic() - started, 3)
    started = time.monotonic()
    results, failed = _run_cases(device)
    seconds["cases"] = round(time.monotonic() - started, 2)
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if ".so" in line}
    about = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }
    document = {"results": results, "failed": failed, "about": about, "seconds": seconds, "mapped": sorted(mapped)}
    print(json.dumps(document))


def _synchronize(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def _run_cases(device: str) -> tuple[dict[str, float], dict[str, str]]:
    import torch

    results: dict[str, float] = {}
    failed: dict[str, str] = {}
    for dtype in (torch.float32, torch.bfloat16):
        for name, case in _cases(device, dtype).items():
            label = f"{name} {str(dtype).removeprefix('torch.')}"
            torch.manual_seed(0)
            try:
                with torch.inference_mode():
                    output = case()
                    _synchronize(device)
                results[label] = round(float(output.float().abs().mean()), 6)
            except Exception as error:  # noqa: BLE001  any error of any case is a finding
                failed[label] = f"{type(error).__name__}: {error}"[:300]
    return results, failed


def _cases(device: str, dtype: torch.dtype) -> dict[str, Callable[[], torch.Tensor]]:
    """Return the operations of segmentation networks, by name."""
    import torch
    from torch import nn
    from torch.nn import functional as F  # noqa: N812  as PyTorch's documentation has it

    torch.manual_seed(0)
    image = torch.rand(2, 3, 256, 256).to(device, dtype)
    features = torch.rand(2, 32, 64, 64).to(device, dtype)
    heads = torch.rand(2, 4, 256, 32).to(device, dtype)

    def prepare(module: nn.Module) -> nn.Module:
        return module.eval().to(device, dtype)

    cases: dict[str, Callable[[], torch.Tensor]] = {
        "network": lambda: prepare(_network())(image),
        "network, channels last": lambda: prepare(_network()).to(memory_format=torch.channels_last)(  # type: ignore[call-overload]
            image.to(memory_format=torch.channels_last)
        ),
        "network, odd size": lambda: prepare(_network())(image[:, :, :200, :168]),
        "exported program": lambda: _exported(device)(image.float()),
        "depthwise": lambda: prepare(nn.Conv2d(32, 32, 5, padding=2, groups=32))(features),
        "dilated": lambda: prepare(nn.Conv2d(32, 32, 3, padding=6, dilation=6))(features),
        "convolution of 1 x 1": lambda: prepare(nn.Conv2d(32, 64, 1))(features),
        "3-D convolution": lambda: prepare(nn.Conv3d(2, 4, 3, padding=1))(features[None]),
        "batch norm": lambda: prepare(nn.BatchNorm2d(32))(features),
        "group norm": lambda: prepare(nn.GroupNorm(8, 32))(features),
        "layer norm": lambda: prepare(nn.LayerNorm(64))(features),
        "linear": lambda: prepare(nn.Linear(64, 128))(features),
        "matmul": lambda: features @ features.transpose(-1, -2),
        "outer product": lambda: torch.bmm(features[0, :, :, :1], features[0, :, :1, :]),
        "einsum": lambda: torch.einsum("bchw,bdhw->bcd", features, features),
        "softmax": lambda: features.softmax(1),
        "attention": lambda: F.scaled_dot_product_attention(heads, heads, heads),
        "encoder layer": lambda: prepare(nn.TransformerEncoderLayer(64, 4, batch_first=True))(features[:, 0]),
        "bilinear": lambda: F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False),
        "adaptive pooling": lambda: F.adaptive_avg_pool2d(features, 7),
        "grid sample": lambda: F.grid_sample(
            features, features[:, :2].permute(0, 2, 3, 1) * 2 - 1, align_corners=False
        ),
        "argmax": lambda: features.argmax(1),
    }
    if device == "cuda":
        from torch.nn.attention import SDPBackend, sdpa_kernel

        def attention(backend: SDPBackend) -> torch.Tensor:
            with sdpa_kernel([backend]):
                return F.scaled_dot_product_attention(heads, heads, heads)

        for backend in (SDPBackend.MATH, SDPBackend.EFFICIENT_ATTENTION, *_half_only(dtype)):
            cases[f"attention by {backend.name}"] = lambda backend=backend: attention(backend)  # type: ignore[misc]
        cases["network, benchmark mode"] = lambda: _benchmarked(prepare(_network()), image)
        cases["CUDA graph"] = lambda: _graph(prepare(_network()), image)
        cases["pinned memory"] = lambda: torch.rand(1000).pin_memory().to(device, non_blocking=True)
    return cases


def _half_only(dtype: torch.dtype) -> list[Any]:
    import torch
    from torch.nn.attention import SDPBackend

    return [SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION] if dtype == torch.bfloat16 else []


def _benchmarked(network: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor) -> torch.Tensor:
    """Run a network while cuDNN tries all its kernels."""
    import torch

    torch.backends.cudnn.benchmark = True
    try:
        return network(image)
    finally:
        torch.backends.cudnn.benchmark = False


def _graph(network: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor) -> torch.Tensor:
    """Run a network as a CUDA graph."""
    import torch

    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        network(image)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = network(image)
    graph.replay()
    return output


def _network() -> torch.nn.Module:
    """Build a small U-Net with batch norms, transposed convolutions and interpolation."""
    import torch
    from torch import nn
    from torch.nn import functional as F  # noqa: N812  as PyTorch's documentation has it

    def block(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            *(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()),
            *(nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()),
        )

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = block(3, 32), block(32, 64), block(96, 32)
            self.up = nn.ConvTranspose2d(64, 64, 2, stride=2)
            self.head = nn.Conv2d(32, 2, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            first = self.first(images)
            second = self.up(self.second(F.max_pool2d(first, 2)))
            logits = self.head(self.third(torch.cat([first, second], 1)))
            return F.interpolate(logits, scale_factor=0.5, mode="bilinear", align_corners=False)

    return Network()


def _exported(device: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Export a network, save and load it, and move it to the device, as the engine does with a model."""
    import torch

    with torch.inference_mode(mode=False):
        file = io.BytesIO()
        torch.export.save(torch.export.export(_network().eval(), (torch.rand(2, 3, 256, 256),)), file)
        file.seek(0)
        program = torch.export.load(file)
        if device != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
        module: Callable[[torch.Tensor], torch.Tensor] = program.module()
    return module


if __name__ == "__main__":
    main(*sys.argv[1:])
