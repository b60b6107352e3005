"""A run's progress as text, for a terminal."""

from __future__ import annotations

from datetime import datetime

from cloudseg_ops.contracts.units import readable_seconds
from cloudseg_ops.runs.progress import ChunkPhase, RunProgress

_SHOWN_PHASES = (ChunkPhase.RUNNING, ChunkPhase.STALLED, ChunkPhase.STOPPED)


def progress_line(progress: RunProgress) -> str:
    """Return a run's progress in one line: images done, rate and time left."""
    if not progress.chunks:
        return "nothing is planned yet"
    words = [f"{progress.done:,} of {progress.total:,} images"]
    if progress.finished:
        return f"{words[0]} · every chunk is done"
    if progress.images_per_second:
        words.append(f"{progress.images_per_second:.1f} images/s")
    if progress.seconds_left is not None:
        words.append(f"about {readable_seconds(progress.seconds_left)} left")
    return " · ".join(words)


def chunks_line(progress: RunProgress) -> str:
    """Return the number of chunks in each phase, in one line."""
    counts = [(progress.count(state), state) for state in ChunkPhase]
    states = ", ".join(f"{count:,} {state}" for count, state in counts if count)
    return f"{len(progress.chunks):,} chunk{'' if len(progress.chunks) == 1 else 's'}: {states}"


def chunk_lines(progress: RunProgress, *, now: datetime) -> list[str]:
    """Return a line for each chunk that has started and is not done.

    Args:
        progress: The run's progress.
        now: The time from which ages are measured; timezone-aware.
    """
    shown = [chunk for chunk in progress.chunks if chunk.state in _SHOWN_PHASES]
    width = max((len(f"{chunk.done:,} of {chunk.total:,}") for chunk in shown), default=0)
    return [
        f"  {chunk.index:05d}  {chunk.state:<7}  {f'{chunk.done:,} of {chunk.total:,}':>{width}} images"
        f"  {chunk.images_per_second:6.1f} images/s{_age(chunk.updated, now)}"
        for chunk in shown
    ]


def _age(updated: datetime | None, now: datetime) -> str:
    return "" if updated is None else f"  updated {readable_seconds(max(0.0, (now - updated).total_seconds()))} ago"
