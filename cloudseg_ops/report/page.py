"""report.html: a self-contained page without scripts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING

from cloudseg_ops.contracts.overlay import CLOUD_TINT
from cloudseg_ops.contracts.proof import Place
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.units import readable_bytes, readable_percent, readable_seconds, readable_time
from cloudseg_ops.report.charts import Segment, draw_histogram, stack
from cloudseg_ops.report.chunks import ChunkReading, Reading
from cloudseg_ops.report.facts import RunFacts
from cloudseg_ops.report.previews import Preview
from cloudseg_ops.report.summary import Report
from cloudseg_ops.report.tiles import make_tiles

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = "cloudseg_ops.report"
_FEW_CHUNKS = 12
_PLACES = {
    Place.MASKED.value: "replaced by a mask",
    Place.QUARANTINED.value: "in quarantine",
    Place.SUPERSEDED.value: "superseded by a newer upload",
    Place.INPUT.value: "in INPUT",
    Place.LOST.value: "lost",
}
_PHASES = {
    "sense": "wait for inputs",
    "pull": "fetch the model",
    "plan": "plan chunks",
    "segment": "segment",
    "clean": "clean up",
}


def render_page(
    report: Report,
    facts: RunFacts,
    reading: Reading,
    quarantined: Sequence[Result],
    previews: Sequence[Preview],
    *,
    unreadable: Sequence[Result] = (),
) -> str:
    """Render report.html.

    Names and reasons are untrusted: they are escaped, and the content security policy allows no scripts, no requests
    and no styles except the page's.

    Args:
        report: The numbers of the run.
        facts: Facts from the run's tasks.
        reading: The contents of the results files.
        quarantined: The first quarantined images.
        previews: The pictures of the contact sheet.
        unreadable: The first images that could not be read.
    """
    from markupsafe import Markup

    style = page_style()
    mean = reading.cover.mean
    return (
        page_environment()
        .get_template("report.html.j2")
        .render(
            policy=page_policy(style),
            # Trusted, since it is part of the package; escaping would invalidate the hash in the policy.
            style=Markup(style),  # noqa: S704
            report=report,
            facts=facts,
            tiles=make_tiles(report, facts, reading),
            places=_places(facts.places),
            phases=_phases(report.head["seconds"]),
            cover=reading.cover,
            histogram=None if mean is None else draw_histogram(reading.cover.bins, mean),
            previews=previews,
            cloud_name=facts.model.params.classes[1] if facts.model else "cloud",
            cloud_tint=CLOUD_TINT,
            quarantined=quarantined,
            quarantined_more=report.counts[Outcome.QUARANTINED] - len(quarantined),
            unreadable=unreadable,
            unreadable_more=report.counts[Outcome.UNREADABLE] - len(unreadable),
            lost_more=report.lost - len(facts.lost),
            chunks=_chunk_tables(reading.chunks),
        )
    )


def page_style() -> str:
    """Return the style sheet of all pages."""
    return resources.files(_PACKAGE).joinpath("report.css").read_text("utf-8")


def page_environment(package: str = _PACKAGE) -> Environment:
    """Return a Jinja environment that escapes values and has filters for units.

    Args:
        package: Package that contains the templates.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bytes": readable_bytes,
        "seconds": readable_seconds,
        "percent": readable_percent,
        "time": readable_time,
        "data_uri": _data_uri,
    }
    return environment


def page_policy(style: str) -> str:
    """Return a content security policy that allows no scripts, no requests and no style but this one."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _places(counts: Mapping[str, int]) -> list[tuple[str, Segment]]:
    known = {key: counts.get(key, 0) for key in _PLACES}
    return [(_PLACES.get(segment.key, segment.key), segment) for segment in stack({**known, **counts})]


def _phases(seconds: Mapping[str, float]) -> list[tuple[str, str, float]]:
    """Return the key, name and bar width (0–100) of each phase."""
    longest = max(seconds.values(), default=0.0) or 1.0
    return [(key, _PHASES.get(key, key), 100 * spent / longest) for key, spent in seconds.items()]


def _chunk_tables(chunks: Sequence[ChunkReading]) -> dict[str, Sequence[ChunkReading]]:
    """Split the chunks into an open and a folded table: if there are many, complete chunks are folded."""
    if len(chunks) <= _FEW_CHUNKS:
        return {"open": chunks, "folded": []}
    return {
        "open": [chunk for chunk in chunks if not chunk.complete],
        "folded": [chunk for chunk in chunks if chunk.complete],
    }
