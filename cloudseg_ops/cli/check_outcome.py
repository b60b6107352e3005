"""What a check of a model found, from the engine's files, and as text."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudseg_ops.contracts.check_facts import CheckFacts
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.units import readable_bytes, readable_seconds, three_digits
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store

NOT_COMMITTED = "0" * 40
"""The commit in the reference of a model that is not in a registry yet."""
_SHAPES_NAMED = 4
_NAMED = 5


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The outcome of a check whose engine succeeded.

    Attributes:
        facts: The engine's figures.
        results: The outcome of each photograph.
        shares: Share of each class, 0–1, over all masks, by class index; empty if there are no masks.
    """

    facts: CheckFacts
    results: Sequence[Result]
    shares: Sequence[float]

    @property
    def masks(self) -> int:
        """Number of masks."""
        return sum(result.outcome is Outcome.DONE for result in self.results)

    @property
    def quarantined(self) -> Sequence[Result]:
        """The photographs that cannot be segmented."""
        return [result for result in self.results if result.outcome is Outcome.QUARANTINED]

    def concerns(self, ref: ModelRef) -> Sequence[str]:
        """Return what is probably wrong although nothing failed, as sentences."""
        if not self.masks:
            return ["No photograph got a mask; the reasons are those of quarantine."]
        names = ref.params.classes
        only = next((names[index] for index, share in enumerate(self.shares) if share == 1), None)
        if only:
            return [
                f"Every pixel of every mask is {only}: check `normalize` and `output` in params.yaml, and look at the "
                "photographs"
            ]
        missing = [name for name, share in zip(names, self.shares, strict=True) if not share]
        return [f"No pixel of any mask is {' or '.join(missing)}."] if missing else []


def read_outcome(store: Store, layout: RunLayout, facts: Path) -> CheckOutcome:
    """Read what the engine wrote.

    Args:
        store: The store of the buckets.
        layout: The run's files.
        facts: The file of the engine's figures.
    """
    results = [Result.from_line(line) for line in store.read_lines(layout.results(0))]
    masks = [GcsUri(layout.output.bucket, result.mask) for result in results if result.mask]
    ref = ModelRef.parse(store.read(layout.model), str(layout.model))
    shares = _shares([store.read(mask) for mask in masks], len(ref.params.classes))
    return CheckOutcome(CheckFacts.parse(facts.read_bytes(), str(facts)), results, shares)


def print_shapes(facts: Path) -> None:
    """Print the shapes of forward passes, as far as there were any before a check failed."""
    shapes = CheckFacts.parse(facts.read_bytes(), str(facts)).shapes if facts.is_file() else ()
    for shape in shapes[:_SHAPES_NAMED]:
        times = f" ({shape.passes} passes)" if shape.passes > 1 else ""
        print(f"shapes     {shape.input} → {shape.output}{times}")
    if len(shapes) > _SHAPES_NAMED:
        print(f"shapes     {len(shapes) - _SHAPES_NAMED} more")


def print_outcome(ref: ModelRef, outcome: CheckOutcome) -> None:
    """Print an outcome as aligned lines.

    Args:
        ref: The model.
        outcome: What the check found.
    """
    facts = outcome.facts
    params = ref.params
    shares = zip(params.classes, outcome.shares, strict=False)
    print(f"classes    {', '.join(f'{name} {share:.1%}' for name, share in shares) or 'no masks'}")
    print(f"precision  {describe_precision(facts)}")
    print(f"speed      {describe_speed(facts)}")
    print(f"memory     {describe_memory(facts)}")
    for result in outcome.quarantined[:_NAMED]:
        print(f"quarantine {result.source.name}: {result.reason}")
    if len(outcome.quarantined) > _NAMED:
        print(f"quarantine {len(outcome.quarantined) - _NAMED} more")
    for concern in outcome.concerns(ref):
        print(f"attention  {concern}")


def describe_commit(ref: ModelRef) -> str:
    """Return the commit of a model, or that it has none."""
    return "not tagged" if ref.commit == NOT_COMMITTED else f"commit {ref.commit[:12]}"


def describe_network(ref: ModelRef) -> str:
    """Return the architecture and the channels of its images."""
    channels = ref.params.in_channels
    return f"{ref.params.architecture}, {channels} channel{'' if channels == 1 else 's'}"


def describe_precision(facts: CheckFacts) -> str:
    """Return the precision in use, and how far the lower one agrees with float32."""
    if facts.agreement is None:
        return f"{facts.precision}; operations of this network do not support bfloat16"
    verb = ", which agrees" if facts.compared == facts.precision else f"; {facts.compared} agrees"
    return f"{facts.precision}{verb} with float32 on {facts.agreement:.2%} of a sample's pixels"


def describe_speed(facts: CheckFacts) -> str:
    """Return the rate and the time to load."""
    where = f"on {facts.cpus} CPUs" if facts.device == "cpu" else "on the GPU"
    rate = f"{three_digits(facts.images_per_second)} images/s {where}" if facts.images_per_second else "no masks made"
    return f"{rate}; loaded in {readable_seconds(facts.load_seconds)}"


def describe_memory(facts: CheckFacts) -> str:
    """Return the peak memory."""
    gpu = f", {readable_bytes(facts.gpu_peak_bytes)} on the GPU" if facts.gpu_peak_bytes else ""
    return f"{readable_bytes(facts.peak_bytes)} at the peak{gpu}"


def _shares(masks: Sequence[bytes], n_classes: int) -> list[float]:
    """Return the share of each class in the pixels of some masks, PNG whose values are class indices."""
    from PIL import Image

    counts: Counter[int] = Counter()
    for mask in masks:
        with Image.open(io.BytesIO(mask), formats=("PNG",)) as image:
            counts.update(dict(enumerate(image.histogram()[:n_classes])))
    total = counts.total()
    return [counts[index] / total for index in range(n_classes)] if total else []
