"""Derives figures from the results: best settings, the engine's share of them, and whether decoding limits the rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
AGREEMENT = 0.999
"""Minimum share of pixels that must agree with float32 for a rate to count."""
TARGET = 0.85
"""Target share of the best bare setting for the engine with the 31 M U-Net."""
TARGET_MODEL = "unet31m"
_COMPILERS = frozenset({"compile", "max-autotune", "aoti"})


def of_kind(records: Iterable[Record], kind: str) -> list[Record]:
    """Return the records of a kind, in order."""
    return [one for one in records if one.get("kind") == kind]


def workloads_of(records: Iterable[Record]) -> list[str]:
    """Return the workloads of the records, in order of first appearance."""
    return list(dict.fromkeys(str(one["workload"]) for one in records if "workload" in one))


def best_setting(bare: Iterable[Record], workload: str, *, compiled: bool = True) -> Record | None:
    """Return the fastest setting of a workload whose masks agree with float32.

    Args:
        bare: Records of the part `bare`.
        workload: The workload.
        compiled: Whether to include compiled settings.
    """
    valid = [
        one
        for one in of_kind(bare, "setting")
        if one["workload"] == workload
        and one.get("agreement", 0.0) >= AGREEMENT
        and (compiled or one["setting"]["runner"] not in _COMPILERS)
    ]
    return max(valid, key=lambda one: float(one["images_per_second"]), default=None)


def best_engine(engine: Iterable[Record], workload: str) -> Record | None:
    """Return the engine's fastest run on a workload whose masks agree with float32."""
    valid = [
        one
        for one in of_kind(engine, "engine")
        if one["workload"] == workload and (one.get("agreement") or 0.0) >= AGREEMENT
    ]
    return max(valid, key=lambda one: float(one["images_per_second"]), default=None)


def ratio(engine: Record | None, bare: Record | None) -> float | None:
    """Return the engine's rate divided by the bare forward pass's; None if one of them was not measured."""
    if not engine or not bare or not bare["images_per_second"]:
        return None
    return float(engine["images_per_second"]) / float(bare["images_per_second"])


@dataclass(frozen=True, slots=True)
class DecodingBound:
    """The CPU work needed to keep up with the best bare setting.

    Attributes:
        workload: The workload.
        bare: Images per second of the best setting.
        all_cores: Images per second decoded by all cores, if they do nothing else.
        cores: Cores of the machine.
        decoding_cores: Cores needed to decode at the bare rate.
        engine_cores: Cores that the engine would need at the bare rate, by its CPU time per image; None: not measured.
        nvjpeg: Images per second decoded by nvJPEG; None: not measured.
    """

    workload: str
    bare: float
    all_cores: float
    cores: int
    decoding_cores: float
    engine_cores: float | None
    nvjpeg: float | None

    @property
    def decoding_binds(self) -> bool:
        """Whether all cores together decode more slowly than the GPU computes."""
        return self.all_cores < self.bare

    @property
    def cpu_binds(self) -> bool:
        """Whether the engine would need more cores than the machine has."""
        return self.engine_cores is not None and self.engine_cores > self.cores


def decoding_bounds(bare: Sequence[Record], engine: Sequence[Record]) -> list[DecodingBound]:
    """Compare each workload's best bare rate with the rates of decoding photographs of its size."""
    rates = {int(one["side"]): one for one in of_kind(engine, "decode")}
    nvjpeg = {int(one["side"]): float(one["images_per_second"]) for one in of_kind(engine, "nvjpeg")}
    found = []
    for workload in workloads_of(bare):
        side = int(workload.rsplit("-", 1)[1])
        best, run = best_setting(bare, workload), best_engine(engine, workload)
        if best is None or side not in rates:
            continue
        decoding, rate = rates[side], float(best["images_per_second"])
        each = run.get("cpu_seconds_per_image") if run else None
        found.append(
            DecodingBound(
                workload,
                rate,
                float(decoding["all_cores"]),
                int(decoding["cores"]),
                rate / float(decoding["per_core"]),
                rate * float(each) if each else None,
                nvjpeg.get(side),
            )
        )
    return found


def target_line(bare: Sequence[Record], engine: Sequence[Record]) -> str:
    """Report whether the engine reaches its target share of the best bare setting."""
    verdicts = []
    for workload in workloads_of(bare):
        if workload.rsplit("-", 1)[0] != TARGET_MODEL:
            continue
        reached = ratio(best_engine(engine, workload), best_setting(bare, workload))
        if reached is None:
            verdicts.append(f"{workload}: not measured")
        else:
            verdicts.append(f"{workload}: {reached:.2f}, {'reached' if reached >= TARGET else 'NOT reached'}")
    return f"Target, engine ≥ {TARGET} of the best bare setting: " + (
        "; ".join(verdicts) or "no such model was measured"
    )
