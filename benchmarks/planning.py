"""Computes how many images each contender gets, to fit its time, from the speed of the bare forward pass."""

from __future__ import annotations

from dataclasses import dataclass

CONTENDERS = {
    "a": "bare forward pass",
    "b": "cloudseg engine",
    "c": "the article's loop",
    "d": "Beam RunInference",
    "e": "Ray Data map_batches",
}

_REQUESTS = 3
"""Download, upload, delete."""
_DURATION_FACTORS = {"b": 4}
"""Only the later half of b's masks counts, and they come in batches: few of them would tell little."""
_MAX_IMAGES = {"b": 4000, "c": 500, "d": 1000, "e": 1000}
_MIN_IMAGES = {"b": 16, "c": 2, "d": 4, "e": 4}
_MAX_STORED_BYTES = {"b": 3_600_000_000}
_DEFAULT_MAX_STORED_BYTES = 600_000_000
"""Bytes of photographs in the emulator's memory at a time. b has hundreds of megabytes of them under way at once, and
only what is beyond those tells its rate."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What is known of a row before its contenders run.

    Attributes:
        best: Seconds of an image in the bare forward pass at its best setting.
        plain: Seconds of an image in a plain forward pass with a batch of one.
        latency: Seconds of a request.
        work: Seconds of CPU time of an image around its forward pass: decode, encode, transfer.
    """

    best: float
    plain: float
    latency: float
    work: float


def estimate_cpu_seconds(megapixels: float, megabytes: float) -> float:
    """Estimate the CPU seconds per image outside the forward pass: Pillow and the emulator on one core."""
    return 0.006 + 0.045 * megapixels + 0.006 * megabytes


def expected_seconds(contender: str, costs: Costs, cpus: int) -> float:
    """Estimate the seconds per image in steady state; only the number of images depends on it."""
    if contender == "b":
        return costs.best + costs.work / cpus
    if contender == "c":
        return costs.plain + _REQUESTS * costs.latency + costs.work
    return costs.plain + costs.work + 0.01


def images_for(contender: str, costs: Costs, *, seconds: float, cpus: int, size_bytes: int) -> int:
    """Return the number of images that take about `seconds`, within sensible limits and the emulator's memory."""
    wanted = round(seconds * _DURATION_FACTORS.get(contender, 1) / expected_seconds(contender, costs, cpus))
    stored = _MAX_STORED_BYTES.get(contender, _DEFAULT_MAX_STORED_BYTES)
    maximum = min(_MAX_IMAGES[contender], max(_MIN_IMAGES[contender], stored // size_bytes))
    return max(_MIN_IMAGES[contender], min(maximum, wanted))


def rotate_order(contenders: list[str], repeat: int) -> list[str]:
    """Turn the order by one with each repeat, so that none always runs first or behind the same other."""
    turn = repeat % len(contenders)
    return contenders[turn:] + contenders[:turn]
