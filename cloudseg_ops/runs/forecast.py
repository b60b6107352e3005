"""What a run will take: pure rules over its chunks, a rate, and how many chunks go on at once."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloudseg_ops.runs.chunk_plan import Chunk
from cloudseg_ops.runs.chunking import last_end

CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class MeasuredChunk:
    """A chunk of an earlier run that was worked through.

    Attributes:
        images: Images that it segmented.
        seconds: How long its engine took for them, from its beginning to its results file.
        start_seconds: How long its task waited for the engine to begin; None: nobody knows.
    """

    images: int
    seconds: float
    start_seconds: float | None


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """An earlier run, by its report.

    Attributes:
        run_id: The Airflow run.
        model_digest: Its model.
        chunks: Those that tell a rate.
    """

    run_id: str
    model_digest: str | None
    chunks: Sequence[MeasuredChunk]


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast one chunk goes, and how one knows.

    Attributes:
        images_per_second: Of one chunk: its engine's start is in it.
        start_seconds: Until its engine begins: a node, an image, a process. None: nobody knows.
        runs: Where it was measured; empty: it is the setting CLOUDSEG_IMAGES_PER_SECOND.
        same_model: Whether these runs had the model of this one.
    """

    images_per_second: float
    start_seconds: float | None = None
    runs: tuple[str, ...] = ()
    same_model: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """Sizes of a run's chunks: minimum, median and maximum."""

    min: int
    median: int
    max: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Spread:
        """Describe numbers, of which there is at least one."""
        return cls(min(numbers), round(statistics.median(numbers)), max(numbers))

    def to_json(self) -> dict[str, int]:
        """As in plan.json."""
        return {"least": self.min, "median": self.median, "most": self.max}


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will take.

    Attributes:
        images: Images to be segmented.
        chunk_seconds: How long each chunk will take, its start included, in the order of the chunks.
        gpu_hours: Time in which engines work, summed over chunks: without the start of nodes, and their idle time.
        wall_seconds: From the first chunk's start to the last one's end; None: nobody knows how many go on at once.
        shortest_seconds: The same with all chunks at once.
        longest_seconds: The same with one at a time.
        cost: Of the GPU hours, in `CURRENCY`; None: no price is known.
    """

    images: int
    chunk_seconds: Sequence[float]
    gpu_hours: float
    wall_seconds: float | None
    shortest_seconds: float
    longest_seconds: float
    cost: float | None


def choose_rate(runs: Iterable[MeasuredRun], *, model_digest: str | None, setting: float) -> Rate:
    """Take the rate from earlier runs: those with this model where there are any, else all, else the setting.

    Args:
        runs: Earlier runs.
        model_digest: The model of the run to come; None: nobody knows.
        setting: CLOUDSEG_IMAGES_PER_SECOND.
    """
    telling = [run for run in runs if run.chunks]
    alike = [run for run in telling if model_digest and run.model_digest == model_digest]
    chosen = alike or telling
    if not chosen:
        return Rate(setting)
    chunks = [chunk for run in chosen for chunk in run.chunks]
    starts = [chunk.start_seconds for chunk in chunks if chunk.start_seconds is not None]
    return Rate(
        sum(chunk.images for chunk in chunks) / sum(chunk.seconds for chunk in chunks),
        statistics.median(starts) if starts else None,
        tuple(run.run_id for run in chosen),
        same_model=bool(alike),
    )


def forecast(
    chunks: Sequence[Chunk],
    rate: Rate,
    *,
    already_processed: int | None,
    at_once: int | None,
    gpu_hour_price: float | None,
) -> Forecast:
    """Reckon what a run will take.

    Args:
        chunks: The run's.
        rate: Of one chunk.
        already_processed: Images that are skipped because OUTPUT proves them done; None: unknown.
        at_once: Most chunks at once; None: unknown.
        gpu_hour_price: In `CURRENCY`; None: unknown.
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
