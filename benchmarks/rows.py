"""The rows of the table: model, image size in pixels, file size in bytes."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

BYTES = {"50kB": 50_000, "5MB": 5_000_000}
_SIZE_LABELS = {"64": "64 × 64", "256": "256 × 256", "1024": "1024 × 1024", "mixed": "mixed sizes"}
_MODEL_LABELS = {
    "example": "example model",
    "unet31m": "U-Net of 31 M parameters",
    "unet34": "ResNet-34 U-Net (smp)",
    "deeplab": "DeepLabV3+ MobileNet (smp)",
    "segformer": "SegFormer-B0 (transformers)",
    "free": "a model that costs nothing",
    "tiny": "a tiny U-Net",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        model: A name that `benchmarks.models.open_model` knows.
        kind: A key of `benchmarks.photographs.SIZES`.
        file: A key of `BYTES`.
    """

    model: str
    kind: str
    file: str

    @property
    def name(self) -> str:
        """The name of the row for --rows."""
        return f"{self.model}-{self.kind}-{self.file}"

    @property
    def title(self) -> str:
        """Title of the row in the table."""
        file = self.file.replace("kB", " kB").replace("MB", " MB")
        return f"{_MODEL_LABELS[self.model]}, {_SIZE_LABELS[self.kind]}, files of {file}"

    @property
    def size_bytes(self) -> int:
        """Bytes of a file."""
        return BYTES[self.file]


ALL = (
    *(
        Row(model, kind, file)
        for model in ("example", "unet31m")
        for kind in ("256", "1024", "mixed")
        for file in BYTES
    ),
    *(Row(model, kind, "50kB") for model in ("unet34", "deeplab", "segformer") for kind in ("256", "1024")),
    Row("free", "256", "50kB"),
    Row("free", "256", "5MB"),
)
TINY = Row("tiny", "64", "50kB")
"""For the harness's own test; chosen only by its name."""
DEFAULT = (
    "example-256-50kB",
    "example-1024-5MB",
    "example-mixed-50kB",
    "unet31m-256-5MB",
    "unet31m-1024-50kB",
    "unet31m-mixed-50kB",
    "unet34-256-50kB",
    "deeplab-256-50kB",
    "segformer-256-50kB",
    "free-256-50kB",
    "free-256-5MB",
)
"""Each model, image size and file size in at least one row."""


def choose_rows(patterns: Sequence[str]) -> list[Row]:
    """Return the rows whose names match any pattern, in the table's order; `all` means every row, no pattern `DEFAULT`.

    Raises:
        ValueError: A pattern matches no row.
    """
    if not patterns:
        patterns = DEFAULT
    if "all" in patterns:
        return list(ALL)
    every = (*ALL, TINY)
    for pattern in patterns:
        if not any(fnmatch.fnmatch(row.name, pattern) for row in every):
            raise ValueError(f"--rows {pattern}: matches none of {', '.join(row.name for row in ALL)}")
    return [row for row in every if any(fnmatch.fnmatch(row.name, pattern) for pattern in patterns)]
