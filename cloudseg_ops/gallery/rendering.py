"""Renders the gallery's pages as HTML without scripts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from cloudseg_ops.contracts.overlay import CLOUD_TINT
from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.contracts.units import three_digits
from cloudseg_ops.gallery import labels
from cloudseg_ops.gallery.addresses import Addresses
from cloudseg_ops.gallery.details import Details
from cloudseg_ops.gallery.filters import Filter
from cloudseg_ops.gallery.locating import Shape, Shown
from cloudseg_ops.gallery.overview import Overview
from cloudseg_ops.gallery.results_file import Cursor
from cloudseg_ops.gallery.searching import Entry, Found
from cloudseg_ops.report.page import page_environment

if TYPE_CHECKING:
    from jinja2 import Environment

    from cloudseg_ops.runs.progress import RunProgress

POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
"""Content security policy of every page: no scripts, and nothing from other origins."""
_PACKAGE = "cloudseg_ops.gallery"
_FEW = 12


@dataclass(frozen=True, slots=True)
class ImagePage:
    """The contents of a page of images.

    Attributes:
        wanted: The filter.
        start: Where the page begins.
        found: The images found.
        shown: The objects that can be shown for each image found.
    """

    wanted: Filter
    start: Cursor
    found: Found
    shown: Sequence[Shown]


def render_gallery(addresses: Addresses, overview: Overview, images: ImagePage) -> str:
    """Render a page of images.

    Names and reasons are untrusted: all of them are escaped.

    Args:
        addresses: The addresses of the run's pages.
        overview: The overview of the run.
        images: The contents of the page.
    """
    wanted, found, following = images.wanted, images.found, images.found.following
    return _render(
        "gallery.html.j2",
        addresses=addresses,
        overview=overview,
        wanted=wanted,
        asked=wanted.query(),
        begun=images.start != Cursor(),
        cards=list(zip(found.entries, images.shown, strict=True)),
        found=found,
        next_page=addresses.gallery({**wanted.query(), "from": str(following)}) if following else None,
        waiting=spans([chunk.index for chunk in overview.waiting]),
        unfinished=spans([chunk.index for chunk in overview.unfinished]),
        highest=max((chunk.index for chunk in overview.chunks), default=0),
        counts=_counts(overview),
        tint=CLOUD_TINT,
        marked=any(one.shape in (Shape.PAIR, Shape.PREVIEW) for one in images.shown),
    )


def render_image(addresses: Addresses, entry: Entry, details: Details) -> str:
    """Render the page of one image: a large picture, and the provenance of its mask.

    Args:
        addresses: The addresses of the run's pages.
        entry: The image.
        details: The details of the image.
    """
    return _render("image.html.j2", addresses=addresses, entry=entry, result=entry.result, details=details)


def render_progress(addresses: Addresses, progress: RunProgress, run_state: str, *, refreshing: bool) -> str:
    """Render the page with a run's progress.

    Args:
        addresses: The addresses of the run's pages.
        progress: The progress of the run.
        run_state: Airflow's state of the run, such as `running`.
        refreshing: Whether the page reloads automatically.
    """
    share = progress.done / progress.total if progress.total else 0.0
    return _render(
        "progress.html.j2",
        addresses=addresses,
        progress=progress,
        share=share,
        run_state=run_state,
        refreshing=refreshing,
    )


def render_message(style: str, title: str, text: str, link: tuple[str, str] | None = None) -> str:
    """Render a page with a single message.

    Args:
        style: Address of the style sheet.
        title: The message in a few words.
        text: What was found, and what to do next; line ends are kept.
        link: Address and text of a link to the next step.
    """
    return _render("message.html.j2", style=style, title=title, text=text, link=link)


def render_no_picture(reason: str) -> str:
    """Render an SVG that says why an image cannot be shown."""
    # XML cannot represent control characters.
    text = "".join(letter if letter.isprintable() else " " for letter in reason)
    return _render("nothing.svg.j2", reason=textwrap.shorten(text, 200, placeholder="…"), lines=_wrapped(text))


def style_sheet() -> str:
    """Return the style sheet of all pages: the report's, with the gallery's additions."""
    report = resources.files("cloudseg_ops.report").joinpath("report.css").read_text("utf-8")
    return report + resources.files(_PACKAGE).joinpath("gallery.css").read_text("utf-8")


def spans(indexes: Sequence[int]) -> str:
    """Format ascending numbers as ranges.

    >>> spans([1, 2, 3, 5])
    '1–3, 5'
    """
    ranges: list[tuple[int, int]] = []
    for index in indexes:
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], index)
        else:
            ranges.append((index, index))
    texts = [str(first) if first == last else f"{first}–{last}" for first, last in ranges[:_FEW]]
    return ", ".join(texts) + (" and others" if len(ranges) > _FEW else "")


def _wrapped(reason: str) -> list[str]:
    """Wrap a reason to the few short lines that fit in a small picture."""
    return textwrap.wrap(reason, 52, max_lines=4, placeholder="…")


def _counts(overview: Overview) -> list[tuple[str, str]]:
    """Return the labels and numbers at the top of the page."""
    with_results = len(overview.chunks) - len(overview.waiting)
    known = [
        ("images", f"{overview.objects:,}"),
        ("chunks with results", f"{with_results:,} of {len(overview.chunks):,}"),
    ]
    outcomes = overview.outcomes
    if not outcomes:
        return known
    return [
        *known,
        ("masks", f"{outcomes.get(Outcome.DONE, 0) + outcomes.get(Outcome.SKIPPED, 0):,}"),
        ("quarantined", f"{outcomes.get(Outcome.QUARANTINED, 0):,}"),
        ("gone or changed", f"{outcomes.get(Outcome.VANISHED, 0) + outcomes.get(Outcome.CHANGED, 0):,}"),
    ]


def _render(template: str, **fields: Any) -> str:
    return _environment().get_template(template).render(**fields)


@cache
def _environment() -> Environment:
    environment = page_environment(_PACKAGE)
    environment.filters |= {"digits": three_digits, "note": labels.note_on}
    environment.globals |= {
        "KINDS": labels.KINDS,
        "OUTCOMES": labels.OUTCOMES,
        "PLACES": labels.PLACES,
        "Shape": Shape,
        "alt_text": labels.alt_text,
    }
    return environment
