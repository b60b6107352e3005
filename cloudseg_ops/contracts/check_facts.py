"""What `python -m cloudseg_ops.engine.check` found out about a model, as JSON for `cloudseg model check`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from cloudseg_ops.contracts.errors import ManifestError
from cloudseg_ops.contracts.json_text import load_json


@dataclass(frozen=True, slots=True)
class PassShape:
    """One shape of images that the network was given.

    Attributes:
        input: Shape of the images, such as `1 × 3 × 256 × 256`.
        output: Shape of what the network returned for them, by name if it returned several tensors.
        passes: Number of forward passes with these shapes.
    """

    input: str
    output: str
    passes: int


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """Figures of a check; a check that failed has those known until then.

    Attributes:
        device: Where forward passes ran: `cpu` or `cuda`.
        cpus: Number of CPUs that the engine used.
        precision: The precision that the engine chose for convolutions.
        compared: The lower precision that was compared with float32; empty: the network does not support any.
        agreement: Share of a sample's pixels that have the same class in both, 0–1; None: not compared.
        shapes: Shapes of images and outputs.
        load_seconds: Time from the start to the first forward pass.
        images_per_second: Masks made per second after that; None: too few to tell.
        peak_bytes: Largest main memory of the engine.
        gpu_peak_bytes: Largest memory on the GPU; None: on the CPU.
    """

    device: str = ""
    cpus: int = 0
    precision: str = ""
    compared: str = ""
    agreement: float | None = None
    shapes: tuple[PassShape, ...] = field(default=())
    load_seconds: float = 0.0
    images_per_second: float | None = None
    peak_bytes: int = 0
    gpu_peak_bytes: int | None = None

    def to_json(self) -> str:
        """Return the facts as a JSON text."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def parse(cls, document: bytes, where: str) -> CheckFacts:
        """Read facts from JSON.

        Args:
            document: The JSON text.
            where: Where it is, for messages.

        Raises:
            ManifestError: They are not the facts of a check.
        """
        try:
            fields: dict[str, Any] = load_json(document)
            return cls(**{**fields, "shapes": tuple(PassShape(**shape) for shape in fields["shapes"])})
        except (ValueError, TypeError, KeyError) as error:
            raise ManifestError(f"{where} does not have the facts of a check ({error}); run the check again") from None
