"""Chooses the device for the forward passes, and checks that it works before the first image is computed.

The engine never falls back from a GPU to the CPU automatically, which would waste a GPU that is paid for. If a
visible GPU cannot be used, the chunk fails with the reason.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cloudseg_ops.contracts.errors import CloudsegError, DeviceError
from cloudseg_ops.contracts.quantities import format_bytes
from cloudseg_ops.engine.process.options import DeviceChoice

if TYPE_CHECKING:
    import torch

DeviceType = Literal["cuda", "cpu"]

_CONTROL_NODE = Path("/dev/nvidiactl")
_DRIVER_VERSIONS = (Path("/sys/module/nvidia/version"), Path("/proc/driver/nvidia/version"))
_HIDDEN = {"", "-1", "NoDevFiles"}
"""Values of CUDA_VISIBLE_DEVICES that hide all GPUs."""
_USE_CPU = "or compute on the CPU on purpose: CLOUDSEG_DEVICE=cpu, or the engine's option --device cpu"
_MAX_DETAIL = 300

_OUT_OF_MEMORY = (
    # PyTorch's CPU allocator and oneDNN.
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "could not create a memory",
    # The CUDA runtime and driver (also for pinned main memory), cuBLAS and cuDNN. When the workspaces of all cuDNN
    # engines are too large, PyTorch reports that it found no engine.
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "unable to find an engine to execute this computation",
)

_REMEDIES = {
    "Torch not compiled with CUDA": "this PyTorch is a CPU build: use the image that VARIANT=cuda builds",
    "Found no NVIDIA driver": "the container does not see a driver: on GKE it is mounted under /usr/local/nvidia, and "
    "LD_LIBRARY_PATH must name its lib64",
    "driver on your system is too old": "install the driver that this PyTorch's CUDA needs (on GKE: "
    "gpu-driver-version=latest), or use an image with an older PyTorch",
    "driver version is insufficient": "install the driver that this PyTorch's CUDA needs (on GKE: "
    "gpu-driver-version=latest), or use an image with an older PyTorch",
    "unsupported display driver": "the libcuda.so that the container loads does not match the node's driver: remove "
    "the container's own libcuda.so from LD_LIBRARY_PATH, or restart the node if its driver was upgraded",
    "no kernel image is available": "this PyTorch has no kernels for a GPU of this generation: choose another "
    "CLOUDSEG_GPU_TYPE",
    "out of memory": "another process holds the GPU's memory: give each pod its own GPU",
    "No CUDA GPUs are available": "the container was given no GPU, or CUDA_VISIBLE_DEVICES names one that does not "
    "exist: check the pod's limits for nvidia.com/gpu",
}
"""What to do, by a part of PyTorch's or CUDA's message."""
_DEFAULT_REMEDY = "look for Xid errors in the node's kernel log and replace the node"

_log = logging.getLogger(__name__)


def choose_device(wanted: DeviceChoice) -> DeviceType:
    """Choose the device without importing PyTorch, which takes seconds.

    Args:
        wanted: `cuda` and `cpu` are returned as they are. `auto` is `cuda` if an NVIDIA GPU is visible to this
            process, whether it works or not, else `cpu`.
    """
    if wanted != "auto":
        return wanted
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0") in _HIDDEN
    return "cuda" if _CONTROL_NODE.exists() and not hidden else "cpu"


def open_device(kind: DeviceType) -> torch.device:
    """Initialize the device, check that it can compute, and log its properties.

    Disables TF32, which PyTorch uses for float32 convolutions by default.

    Raises:
        DeviceError: The GPU cannot be used; the message says why and what to do.
    """
    import torch

    device = torch.device(kind)
    if kind == "cpu":
        _log.info("computing on the CPU: %s", _cpu_name(), extra=_event(device="cpu"))
        return device
    try:
        # Raises the reason for which `torch.cuda.is_available` would only return False.
        torch.cuda.init()  # type: ignore[no-untyped-call]
        allow_tf32(allowed=False)
        probe = torch.ones((1, 1, 8, 8), device=device)
        torch.nn.functional.conv2d(probe, probe[..., :3, :3]).sum().item()
    except (RuntimeError, AssertionError, OSError) as error:
        raise _unusable(error) from error
    _log_gpu(device)
    return device


def allow_tf32(*, allowed: bool) -> None:
    """Allow or forbid TF32 for float32 convolutions and matrix products on a GPU, for the whole process."""
    import torch

    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that PyTorch ran out of GPU memory or main memory."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def is_device_failure(error: BaseException) -> bool:
    """Return whether an error means that the GPU failed and cannot be used by this process again."""
    import torch

    if isinstance(error, CloudsegError) or is_out_of_memory(error):
        return False
    return isinstance(error, torch.AcceleratorError) or (isinstance(error, RuntimeError) and "CUDA error" in str(error))


@contextlib.contextmanager
def translate_device_errors(device: torch.device) -> Iterator[None]:
    """Re-raise GPU failures and GPU out-of-memory errors as `DeviceError`; errors on the CPU pass unchanged."""
    try:
        yield
    except Exception as error:
        if device.type == "cuda" and (is_device_failure(error) or is_out_of_memory(error)):
            raise _unusable(error) from error
        raise


def device_failure(error: BaseException) -> DeviceError:
    """Return the `DeviceError` for a GPU that failed during a forward pass."""
    return DeviceError(
        f"the GPU failed while it computed ({_detail(error)}), and this process cannot use it any more; the masks "
        f"written so far are kept, and a retry does the rest. If it happens again: {_DEFAULT_REMEDY}"
    )


def _unusable(error: BaseException) -> DeviceError:
    detail = _detail(error)
    remedy = next((advice for words, advice in _REMEDIES.items() if words in str(error)), _DEFAULT_REMEDY)
    return DeviceError(f"the GPU cannot be used ({detail}; {_versions()}): {remedy}; {_USE_CPU}")


def _detail(error: BaseException) -> str:
    # PyTorch's messages continue with download links.
    found = " ".join(str(error).split()).partition(" Please ")[0]
    return f"{type(error).__name__}: {found}"[:_MAX_DETAIL]


def _versions() -> str:
    import torch

    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return f"driver {_driver_version() or 'not found'}, PyTorch {torch.__version__} with {cuda}"


def _log_gpu(device: torch.device) -> None:
    import torch

    properties = torch.cuda.get_device_properties(device)
    free, total = torch.cuda.mem_get_info(device)
    facts: dict[str, Any] = {
        "device": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "memory_bytes": total,
        "free_bytes": free,
        "driver": _driver_version(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "torch": str(torch.__version__),
    }
    _log.info(
        "computing on %s: compute capability %s, %s of memory (%s free), %s, cuDNN %s",
        facts["device"],
        facts["capability"],
        format_bytes(total),
        format_bytes(free),
        _versions(),
        facts["cudnn"],
        extra=_event(**facts),
    )
    if (count := torch.cuda.device_count()) > 1:
        _log.warning("%d GPUs are visible, and the engine uses the first one: give each pod one GPU", count)


def _driver_version() -> str | None:
    """Return the version of the kernel's NVIDIA driver, such as 580.95.05."""
    for path in _DRIVER_VERSIONS:
        try:
            words = path.read_text("ascii", "replace").split()
        except OSError:
            continue
        if version := next((word for word in words if word[:1].isdigit() and "." in word), None):
            return version
    return None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("ascii", "replace").splitlines()
    except OSError:
        return "model unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "model unknown")


def _event(**fields: Any) -> dict[str, Any]:
    return {"event": "device", "fields": fields}
