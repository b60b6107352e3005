"""Computes the number of images for each contender from the speed of the bare forward pass and the time available."""

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
"""Only the later half of b's masks counts, and they arrive in batches, so it needs more images."""
_MAX_IMAGES = {"b": 4000, "c": 500, "d": 2000, "e": 2000}
_MIN_IMAGES = {"b": 300, "c": 30, "d": 300, "e": 80}
"""A steady state shows in 300 images, or in ten batches of each worker if those are fewer: e has one worker with
batches of 8. c, the loop, has no queues to fill."""
_MAX_STORED_BYTES = {"b": 3_600_000_000}
_DEFAULT_MAX_STORED_BYTES = 1_500_000_000
"""Maximum bytes of photographs in the emulator's memory. b keeps hundreds of megabytes in flight, and only the images
beyond those show its rate."""


@dataclass(frozen=True, slots=True)
class Costs:
    """A row's costs, known before its contenders run.

    Attributes:
        best: Seconds per image of the bare forward pass at its best setting.
        plain: Seconds per image of a plain forward pass with a batch of one.
        latency: Seconds per request.
        work: CPU seconds per image outside the forward pass: decode, encode, transfer.
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
    least = _MIN_IMAGES[contender]
    maximum = min(_MAX_IMAGES[contender], max(least, stored // size_bytes))
    return max(least, min(maximum, wanted))


def rotate_order(contenders: list[str], repeat: int) -> list[str]:
    """Rotate the order by one with each repeat, so that position does not favor a contender."""
    turn = repeat % len(contenders)
    return contenders[turn:] + contenders[:turn]
