"""Whether PyTorch on a GPU does without what the image leaves out (docker/inference/slim/removed.toml).

    python -m benchmarks.gpu.slim                    # needs PyTorch as PyPI ships it, and a GPU
    python -m benchmarks.gpu.slim --device cpu       # a rehearsal

It mirrors site-packages by symbolic links, without what the list removes and with the stand-ins, and runs networks in
a process that sees the mirror alone; then the same in the complete installation. It prints one JSON line:

- `ok`: all cases ran that run with the complete one, with the same results, and no library was missed.
- `missed`: libraries of the list that the process looked for or called.
- `failed`, `failed_complete`: cases that raised, with their error; `differs`: cases with another result.
- `seconds`, `complete_seconds`: import, CUDA's start, first convolution, all cases.
- `left_out`: what a network is told that needs a feature of the list (on a GPU).
- `unmatched`: patterns of the list that match nothing, as with another PyTorch.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from slim import Entry

_REPOSITORY = Path(__file__).resolve().parents[2]
_TOLERANCE = 2e-2
"""Relative: the complete installation may choose other kernels."""
_LIMIT = 300

_LEFT_OUT = {
    "fft": "torch.fft.rfft2(x)",
    "linalg": "torch.linalg.inv(x[0, 0] + torch.eye(64, device=x.device))",
    "sparse": "x[0, 0].to_sparse_csr() @ x[0, 0]",
    "rnn": "torch.nn.LSTM(64, 8).to(x.device)(x[0])",
}


def main() -> None:
    """Check and print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--site-packages", type=Path, help="folder with torch (where this Python has it)")
    parser.add_argument("--keep", default="", help="features to keep, as KEEP of scripts/image.sh")
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        _probe(options.device, options.probe)
        return
    result = check(options.site_packages or _site_packages(), options.device, options.keep.replace(",", " ").split())
    print(json.dumps(result), flush=True)
    sys.exit(0 if result["ok"] else 1)


def check(site_packages: Path, device: str, keep: Sequence[str]) -> dict[str, Any]:
    """Run the cases in a pruned mirror of an installation and in the installation itself.

    Args:
        site_packages: The folder that holds torch and nvidia.
        device: cuda or cpu.
        keep: Features to keep.
    """
    sys.path.insert(0, str(_REPOSITORY / "docker" / "inference"))
    from slim import matches, read_entries, selected

    entries = selected(read_entries(), "cuda", keep)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "site-packages"
        removed, size = mirror(site_packages, tree, entries)
        pruned = _run(tree, device, "cases", removed)
        left_out = {
            name: _run(tree, device, name, removed)["error"]
            for name in _LEFT_OUT
            if device == "cuda" and name not in keep
        }
    complete = _run(site_packages, device, "cases", {})
    unmatched = [p for entry in entries for p in entry.paths if not any(site_packages.glob(p))]
    differs = _differences(pruned["results"], complete["results"])
    failed = pruned["failed"].keys() - complete["failed"].keys()
    return {
        "check": "slim",
        "ok": bool(pruned["results"]) and not (failed or pruned["error"] or pruned["missed"] or differs),
        **{name: pruned["about"].get(name) for name in ("device", "torch", "cuda", "cudnn")},
        "removed_mb": round(size / 1e6),
        "entries": sum(bool(matches(entry, site_packages, strict=False)) for entry in entries),
        "unmatched": unmatched,
        "cases": len(pruned["results"]),
        "failed": pruned["failed"],
        "failed_complete": complete["failed"],
        "differs": differs,
        "missed": pruned["missed"],
        "error": pruned["error"],
        "seconds": pruned["seconds"],
        "complete_seconds": complete["seconds"],
        "left_out": left_out,
    }


def mirror(site_packages: Path, tree: Path, entries: Sequence[Entry]) -> tuple[dict[str, Path], int]:
    """Mirror a site-packages folder by symbolic links, without what the entries remove.

    Returns:
        The removed libraries by the names under which they are loaded, stand-ins included; and the bytes saved.
    """
    from slim import library_stand_in, matches

    gone: set[Path] = set()
    stand_ins: dict[Path, bytes] = {}
    for entry in entries:
        for path in matches(entry, site_packages, strict=False):
            if entry.replace:
                stand_ins[path] = library_stand_in(path, entry.features)
            gone.add(path)
    size = 0
    removed = {}
    for folder, folders, files in os.walk(site_packages):
        here = Path(folder)
        inside = here in gone or not gone.isdisjoint(here.parents)
        folders[:] = [name for name in folders if name != "__pycache__"]
        into = tree / here.relative_to(site_packages)
        if not inside:
            into.mkdir(parents=True, exist_ok=True)
        for name in files:
            path = here / name
            if inside or path in gone:
                size += path.stat().st_size
                if ".so" in name:
                    removed[name] = path.resolve()
                if path in stand_ins:
                    (into / name).write_bytes(stand_ins[path])
            else:
                (into / name).symlink_to(path)
    return removed, size


def _site_packages() -> Path:
    import torch

    return Path(torch.__file__).resolve().parents[1]


def _run(site_packages: Path, device: str, probe: str, removed: dict[str, Path]) -> dict[str, Any]:
    """Run the probe in a process that sees one folder of packages, and read which libraries the linker looked for."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(site_packages), str(_REPOSITORY)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TORCH_LOGS": "-torch.utils.flop_counter",
            "LD_DEBUG": "libs",
            "LD_DEBUG_OUTPUT": f"{folder}/linker",
        }
        command = [sys.executable, "-S", "-m", "benchmarks.gpu.slim", "--device", device, "--probe", probe]
        started = time.monotonic()
        try:
            done = subprocess.run(
                command, cwd=_REPOSITORY, env=environment, capture_output=True, text=True, timeout=_LIMIT, check=False
            )
            output, stderr, status = done.stdout, done.stderr, done.returncode
        except subprocess.TimeoutExpired:
            output, stderr, status = "", f"no end after {_LIMIT} s", -1
        linker = "".join(path.read_text(errors="replace") for path in Path(folder).glob("linker.*"))
    searched = set(re.findall(r"find library=(\S+) \[", linker)) & removed.keys()
    called = set(re.findall(r"cloudseg: (\w+) was called", stderr))
    lines = [line for line in output.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    loaded = {Path(path).name for path in found.get("mapped", []) if Path(path) in removed.values()}
    stand_ins = {name for name in searched if any(site_packages.glob(f"nvidia/*/lib/{name}"))}
    return {
        "results": found.get("results", {}),
        "failed": found.get("failed", {}),
        "about": found.get("about", {}),
        "seconds": {**found.get("seconds", {}), "process": round(time.monotonic() - started, 2)},
        "missed": sorted((searched - stand_ins) | called | loaded),
        "error": "" if status == 0 else f"exit status {status}: {' / '.join(stderr.strip().splitlines()[-3:])[-600:]}",
    }


def _differences(pruned: dict[str, float], complete: dict[str, float]) -> dict[str, list[float]]:
    return {
        name: [value, complete[name]]
        for name, value in pruned.items()
        if name in complete and abs(value - complete[name]) > _TOLERANCE * max(abs(complete[name]), 1e-3)
    }


def _probe(device: str, probe: str) -> None:
    """Run the cases, or one feature that is left out, and print what came out."""
    started = time.monotonic()
    import torch

    seconds = {"import": round(time.monotonic() - started, 3)}
    started = time.monotonic()
    x = torch.ones(1, 1, 64, 64, device=device)
    _synchronize(device)
    seconds["device"] = round(time.monotonic() - started, 3)
    if probe != "cases":
        expression = _LEFT_OUT[probe]
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
    """The operations that segmentation networks are made of, by name."""
    import torch
    from torch import nn
    from torch.nn import functional as F  # noqa: N812  as PyTorch's documentation has it

    torch.manual_seed(0)
    image = torch.rand(2, 3, 256, 256).to(device, dtype)
    features = torch.rand(2, 32, 64, 64).to(device, dtype)
    heads = torch.rand(2, 4, 256, 32).to(device, dtype)

    def made(module: nn.Module) -> nn.Module:
        return module.eval().to(device, dtype)

    cases: dict[str, Callable[[], torch.Tensor]] = {
        "network": lambda: made(_network())(image),
        "network, channels last": lambda: made(_network()).to(memory_format=torch.channels_last)(  # type: ignore[call-overload]
            image.to(memory_format=torch.channels_last)
        ),
        "network, odd size": lambda: made(_network())(image[:, :, :200, :168]),
        "exported program": lambda: _exported(device)(image.float()),
        "depthwise": lambda: made(nn.Conv2d(32, 32, 5, padding=2, groups=32))(features),
        "dilated": lambda: made(nn.Conv2d(32, 32, 3, padding=6, dilation=6))(features),
        "convolution of 1 x 1": lambda: made(nn.Conv2d(32, 64, 1))(features),
        "3-D convolution": lambda: made(nn.Conv3d(2, 4, 3, padding=1))(features[None]),
        "batch norm": lambda: made(nn.BatchNorm2d(32))(features),
        "group norm": lambda: made(nn.GroupNorm(8, 32))(features),
        "layer norm": lambda: made(nn.LayerNorm(64))(features),
        "linear": lambda: made(nn.Linear(64, 128))(features),
        "matmul": lambda: features @ features.transpose(-1, -2),
        "outer product": lambda: torch.bmm(features[0, :, :, :1], features[0, :, :1, :]),
        "einsum": lambda: torch.einsum("bchw,bdhw->bcd", features, features),
        "softmax": lambda: features.softmax(1),
        "attention": lambda: F.scaled_dot_product_attention(heads, heads, heads),
        "encoder layer": lambda: made(nn.TransformerEncoderLayer(64, 4, batch_first=True))(features[:, 0]),
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
        cases["network, benchmark mode"] = lambda: _benchmarked(made(_network()), image)
        cases["CUDA graph"] = lambda: _graph(made(_network()), image)
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
    main()
