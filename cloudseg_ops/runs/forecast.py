"""Pure rules that forecast a run's time and cost from its chunks, a rate and the number of concurrent chunks."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloudseg_ops.runs.chunk_plan import Chunk
from cloudseg_ops.runs.chunking import last_end

CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class MeasuredChunk:
    """The measured speed of a chunk of an earlier run.

    Attributes:
        images: Number of images segmented.
        seconds: Time from the engine's start to its results file.
        start_seconds: Time that the task waited for the engine to start; None: unknown.
    """

    images: int
    seconds: float
    start_seconds: float | None


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """The measured speed of an earlier run, from its report.

    Attributes:
        run_id: The Airflow run.
        model_digest: Digest of the run's model.
        chunks: The chunks from which a rate can be calculated.
    """

    run_id: str
    model_digest: str | None
    chunks: Sequence[MeasuredChunk]


@dataclass(frozen=True, slots=True)
class Rate:
    """The expected rate of one chunk, and its source.

    Attributes:
        images_per_second: Rate of one chunk, including the start of its engine.
        start_seconds: Time until the engine starts: node, image pull and process. None: unknown.
        runs: Runs in which the rate was measured; empty if it is the setting CLOUDSEG_IMAGES_PER_SECOND.
        same_model: Whether those runs used this run's model.
    """

    images_per_second: float
    start_seconds: float | None = None
    runs: tuple[str, ...] = ()
    same_model: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """The minimum, median and maximum of a run's chunk sizes."""

    min: int
    median: int
    max: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Spread:
        """Return the spread of one or more numbers."""
        return cls(min(numbers), round(statistics.median(numbers)), max(numbers))

    def to_json(self) -> dict[str, int]:
        """Return the spread as in plan.json."""
        return {"least": self.min, "median": self.median, "most": self.max}


@dataclass(frozen=True, slots=True)
class Forecast:
    """The expected time and cost of a run.

    Attributes:
        images: Number of images to segment.
        chunk_seconds: Expected time of each chunk including its start, in the order of the chunks.
        gpu_hours: Working time of the engines, summed over chunks, without the start and idle time of nodes.
        wall_seconds: Time from the first chunk's start to the last chunk's end; None: concurrency is unknown.
        shortest_seconds: The wall time if all chunks run concurrently.
        longest_seconds: The wall time if chunks run one at a time.
        cost: Cost of the GPU hours, in `CURRENCY`; None: the price is unknown.
    """

    images: int
    chunk_seconds: Sequence[float]
    gpu_hours: float
    wall_seconds: float | None
    shortest_seconds: float
    longest_seconds: float
    cost: float | None


def choose_rate(runs: Iterable[MeasuredRun], *, model_digest: str | None, setting: float) -> Rate:
    """Return the rate measured in earlier runs, preferably with the same model, or else the setting.

    Args:
        runs: Earlier runs.
        model_digest: Digest of the model of the planned run; None: unknown.
        setting: CLOUDSEG_IMAGES_PER_SECOND.
    """
    usable = [run for run in runs if run.chunks]
    same_model_runs = [run for run in usable if model_digest and run.model_digest == model_digest]
    chosen = same_model_runs or usable
    if not chosen:
        return Rate(setting)
    chunks = [chunk for run in chosen for chunk in run.chunks]
    starts = [chunk.start_seconds for chunk in chunks if chunk.start_seconds is not None]
    return Rate(
        sum(chunk.images for chunk in chunks) / sum(chunk.seconds for chunk in chunks),
        statistics.median(starts) if starts else None,
        tuple(run.run_id for run in chosen),
        same_model=bool(same_model_runs),
    )


def forecast(
    chunks: Sequence[Chunk],
    rate: Rate,
    *,
    already_processed: int | None,
    at_once: int | None,
    gpu_hour_price: float | None,
) -> Forecast:
    """Return the expected time and cost of a run.

    Args:
        chunks: The run's chunks.
        rate: Rate of one chunk.
        already_processed: Number of images that are skipped because OUTPUT proves them done; None: unknown.
        at_once: Maximum number of concurrent chunks; None: unknown.
        gpu_hour_price: Price of a GPU hour, in `CURRENCY`; None: unknown.
    """
    objects = sum(chunk.objects for chunk in chunks)
    images = objects - (already_processed or 0)
    share = images / objects if objects else 0.0
    work = [share * chunk.objects / rate.images_per_second for chunk in chunks]
    whole = [(rate.start_seconds or 0.0) + seconds for seconds in work]
    hours = sum(work) / 3600
    return Forecast(
        images=images,
        chunk_seconds=whole,
        gpu_hours=hours,
        wall_seconds=None if at_once is None else last_end(whole, [0.0] * at_once),
        shortest_seconds=max(whole, default=0.0),
        longest_seconds=sum(whole),
        cost=None if gpu_hour_price is None else hours * gpu_hour_price,
    )
