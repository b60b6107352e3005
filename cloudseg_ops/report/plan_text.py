"""The plan of a run as text, for the log and for its page."""

from __future__ import annotations

from collections.abc import Sequence

from cloudseg_ops.contracts.units import readable_bytes, readable_seconds, three_digits
from cloudseg_ops.report.verdict import counted
from cloudseg_ops.runs.forecast import CURRENCY, Spread
from cloudseg_ops.runs.run_plan import RunPlan

UNKNOWN = "unknown"


def plan_rows(plan: RunPlan) -> list[tuple[str, str]]:
    """Return the rows of a plan, as names and values."""
    done = plan.already_processed
    return [
        ("inputs", f"{counted(plan.objects, 'image')}, {readable_bytes(plan.bytes)}"),
        *([] if done is None else [("already processed", already_processed_text(done))]),
        ("chunks", f"{len(plan.chunks):,}, of {_images(plan.chunk_objects)}"),
        ("chunk sizes", _sizes(plan.chunk_bytes)),
        ("concurrency", at_once_text(plan.at_once)),
        ("rate", rate_text(plan)),
        *([("measured in", ", ".join(plan.rate.runs))] if plan.rate.runs else []),
        ("chunk start", start_text(plan)),
        ("GPU time", gpu_text(plan)),
        ("wall time", wall_text(plan)),
        ("cost", cost_text(plan)),
        ("afterwards", afterwards_text(plan)),
        ("page", str(plan.layout.plan_html)),
    ]


def aligned(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Return one line per row, in two aligned columns."""
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in rows]


def already_processed_text(count: int) -> str:
    """Describe how many inputs are skipped."""
    if not count:
        return "none: no input has a mask by this model or is in quarantine"
    return f"{counted(count, 'image')}, skipped: with a mask by this model, or in quarantine"


def at_once_text(at_once: int | None) -> str:
    """Describe how many chunks run concurrently."""
    if at_once is None:
        return f"{UNKNOWN}: set CLOUDSEG_POOL_SLOTS to the number of slots of the pool"
    return f"{counted(at_once, 'chunk')} (CLOUDSEG_POOL_SLOTS)"


def rate_text(plan: RunPlan) -> str:
    """Describe the rate of a chunk and its source."""
    speed = f"{three_digits(plan.rate.images_per_second)} images/s per chunk"
    if not plan.rate.runs:
        return f"{speed}, from CLOUDSEG_IMAGES_PER_SECOND: no report has a measured rate"
    model = "this model" if plan.rate.same_model else "another model: no rate of this one was found"
    return f"{speed}, measured in {counted(len(plan.rate.runs), 'run')} with {model}"


def start_text(plan: RunPlan) -> str:
    """Describe how long a chunk waits for its engine."""
    seconds = plan.rate.start_seconds
    return f"{UNKNOWN}, not included" if seconds is None else f"{readable_seconds(seconds)}, measured in the same way"


def gpu_text(plan: RunPlan) -> str:
    """Describe the total working time of the engines."""
    hours = plan.forecast.gpu_hours
    return f"about {three_digits(hours)} GPU hours ({readable_seconds(3600 * hours)}), without the idle time of nodes"


def wall_text(plan: RunPlan) -> str:
    """Describe how long it takes to segment all chunks."""
    expected = plan.forecast
    if expected.wall_seconds is not None:
        return f"about {readable_seconds(expected.wall_seconds)} for all chunks"
    return (
        f"between {readable_seconds(expected.shortest_seconds)} (all chunks concurrently) and "
        f"{readable_seconds(expected.longest_seconds)} (one at a time)"
    )


def cost_text(plan: RunPlan) -> str:
    """Describe the cost of the GPU hours."""
    cost = plan.forecast.cost
    if cost is None:
        return f"{UNKNOWN}: set CLOUDSEG_GPU_HOUR_PRICE"
    amount = f"less than {CURRENCY} 0.01" if 0 < cost < 0.005 else f"about {CURRENCY} {cost:,.2f}"
    return f"{amount}, at {CURRENCY} {plan.gpu_hour_price:g} per GPU hour"


def afterwards_text(plan: RunPlan) -> str:
    """Describe what happens to the inputs."""
    most = f"{'up to ' if plan.objects > 1 else ''}{counted(plan.objects, 'input')} ({readable_bytes(plan.bytes)})"
    once = "each after its mask has been read back as proof"
    source = f"gs://{plan.input_bucket}"
    return {
        "delete": f"delete: permanently deletes {most} from {source}, {once}",
        "archive": f"archive: moves {most} from {source} to archive/ in {plan.layout.output}, {once}",
        "keep": f"keep: all inputs stay in {source}, and the next run finds them again",
    }.get(plan.after_success, plan.after_success)


def _images(spread: Spread) -> str:
    if spread.min == spread.max:
        return counted(spread.max, "image")
    return f"{spread.min:,} to {spread.max:,} images, median {spread.median:,}"


def _sizes(spread: Spread) -> str:
    if spread.min == spread.max:
        return readable_bytes(spread.max)
    low, median, high = map(readable_bytes, (spread.min, spread.median, spread.max))
    return f"{low} to {high}, median {median}"
