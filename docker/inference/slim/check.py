"""Checks that a pruned PyTorch still loads."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .elf import SharedObject

_SYSTEM = [
    Path(folder)
    for folder in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/usr/local/lib")
]
_DRIVER = frozenset({"libcuda.so.1", "libnvidia-ml.so.1"})
"""Libraries of the driver, which the node provides."""

_PROGRAM = """
import ctypes, io, sys
import torch
from torch.export.passes import move_to_device_pass

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.down = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.up = torch.nn.ConvTranspose2d(4, 4, 2, stride=2)
    def forward(self, x):
        y = self.up(torch.nn.functional.max_pool2d(self.down(x), 2))
        return torch.nn.functional.interpolate(y, scale_factor=2.0, mode="bilinear")

image, file = torch.zeros(1, 3, 16, 16), io.BytesIO()
torch.export.save(torch.export.export(Net().eval(), (image,)), file)
file.seek(0)
move_to_device_pass(torch.export.load(file), "cpu").module()(image)

if torch.version.cuda:
    for path in sys.argv[1:]:
        ctypes.CDLL(path)
    assert torch.backends.cudnn.version(), "cuDNN does not answer"
    if not torch.cuda.is_available():
        try:
            torch.cuda.init()
        except RuntimeError as error:
            assert "NVIDIA driver" in str(error), error
"""


def unresolved_libraries(root: Path) -> list[str]:
    """Return the libraries needed by shared objects below a folder that the dynamic linker would not find."""
    missing = []
    libraries = {path: SharedObject.read(path) for path in shared_objects(root)}
    inherited: dict[str, list[Path]] = {}
    for path, library in libraries.items():
        for name in library.needed:
            inherited.setdefault(name, []).extend(_expand(entry, path) for entry in library.inherited_path)
    for path, library in libraries.items():
        folders = [*(_expand(entry, path) for entry in library.search_path), *inherited.get(path.name, ()), *_SYSTEM]
        missing += [
            f"{path.relative_to(root)} needs {name}"
            for name in library.needed
            if name not in _DRIVER and not any((folder / name).exists() for folder in folders)
        ]
    return missing


def shared_objects(root: Path) -> list[Path]:
    """Return the shared objects below a folder, sorted."""
    return [path for path in sorted(root.rglob("*.so*")) if path.is_file() and SharedObject.is_one(path)]


def check_import(python: Path, root: Path) -> str:
    """Import PyTorch, run an exported program on the CPU, and load all libraries of PyTorch and CUDA.

    Args:
        python: The Python to run.
        root: Its site-packages folder.

    Returns:
        A description of the problem, such as a stand-in's message; empty if there is none.
    """
    libraries = [path for part in ("torch/lib", "nvidia") for path in shared_objects(root / part)]
    paths = [str(path) for path in libraries if not _DRIVER.intersection(SharedObject.read(path).needed)]
    done = subprocess.run(
        [str(python), "-B", "-W", "ignore", "-c", _PROGRAM, *paths],
        env={**os.environ, "USER": "cloudseg"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or "cloudseg: " in done.stderr:
        return f"exit status {done.returncode}: {done.stderr.strip()[-2000:]}"
    return ""


def _expand(entry: str, library: Path) -> Path:
    return Path(entry.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", str(library.parent)))
