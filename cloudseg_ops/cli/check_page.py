"""The page of masks that `cloudseg model check` writes: self-contained, without scripts."""

from __future__ import annotations

import io
from dataclasses import dataclass

from cloudseg_ops.cli.check_outcome import (
    CheckOutcome,
    describe_commit,
    describe_memory,
    describe_network,
    describe_precision,
    describe_speed,
)
from cloudseg_ops.contracts.errors import ObjectNotFoundError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.overlay import CLOUD_TINT, to_jpeg
from cloudseg_ops.contracts.results import Result
from cloudseg_ops.contracts.run_layout import RunLayout, preview_uri
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.report.page import page_environment, page_policy, page_style
from cloudseg_ops.storage import Store

_MASK_SIDE = 320
_TWO = 2


@dataclass(frozen=True, slots=True)
class _Picture:
    """A photograph next to a copy with its clouds marked; with more than two classes, also its mask."""

    name: str
    cloud_fraction: float
    preview: bytes
    mask: bytes | None


def render_check_page(ref: ModelRef, outcome: CheckOutcome, store: Store, layout: RunLayout) -> str:
    """Render the page.

    Args:
        ref: The model.
        outcome: What the check found.
        store: The store of the buckets.
        layout: The run's files.
    """
    from markupsafe import Markup

    style = page_style()
    pictures = [picture for result in outcome.results if (picture := _picture(ref, result, store, layout))]
    facts = {
        "network": describe_network(ref),
        "shapes": "; ".join(f"{shape.input} → {shape.output}" for shape in outcome.facts.shapes[:3]),
        "precision": describe_precision(outcome.facts),
        "speed": describe_speed(outcome.facts),
        "memory": describe_memory(outcome.facts),
    }
    return (
        page_environment("cloudseg_ops.cli")
        .get_template("model_check.html.j2")
        .render(
            policy=page_policy(style),
            # Trusted, since it is part of the package; escaping would invalidate the hash in the policy.
            style=Markup(style),  # noqa: S704
            ref=ref,
            commit=describe_commit(ref),
            concerns=outcome.concerns(ref),
            masks=outcome.masks,
            quarantined=outcome.quarantined,
            facts=facts,
            shares=list(zip(ref.params.classes, outcome.shares, strict=False)),
            pictures=sorted(pictures, key=lambda one: (one.cloud_fraction, one.name)),
            cloud_name=ref.params.classes[1],
            cloud_tint=CLOUD_TINT,
        )
    )


def _picture(ref: ModelRef, result: Result, store: Store, layout: RunLayout) -> _Picture | None:
    if result.mask is None:
        return None
    source = result.source
    for first in (True, False):
        try:
            preview = store.read(preview_uri(layout.previews_folder, 0, source.name, source.generation, first=first))
        except ObjectNotFoundError:
            continue
        mask = store.read(GcsUri(layout.output.bucket, result.mask)) if len(ref.params.classes) > _TWO else None
        return _Picture(source.name, result.cloud_fraction or 0.0, preview, mask and _colored(mask))
    return None


def _colored(png: bytes) -> bytes:
    """Return a mask in the colors of its classes, as a small JPEG."""
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=("PNG",)) as mask:
        colored = mask.convert("RGB")
    colored.thumbnail((_MASK_SIDE, _MASK_SIDE), Image.Resampling.NEAREST)
    return to_jpeg(colored)
