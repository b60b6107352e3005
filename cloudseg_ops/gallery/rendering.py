"""The gallery's pages as HTML: rendered here, and without a script."""

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
from cloudseg_ops.gallery import words
from cloudseg_ops.gallery.addresses import Addresses
from cloudseg_ops.gallery.details import Details
from cloudseg_ops.gallery.filters import Filter
from cloudseg_ops.gallery.lines import Cursor
from cloudseg_ops.gallery.locating import Shape, Shown
from cloudseg_ops.gallery.overview import Overview
from cloudseg_ops.gallery.searching import Entry, Found
from cloudseg_ops.report.page import page_environment

if TYPE_CHECKING:
    from jinja2 import Environment

    from cloudseg_ops.runs.progress import RunProgress

POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
"""Content security policy of every page: no script, and nothing from elsewhere."""
_PACKAGE = "cloudseg_ops.gallery"
_FEW = 12


@dataclass(frozen=True, slots=True)
class ImagePage:
    """A page of images, all but the run it is of.

    Attributes:
        wanted: What is asked for.
        start: Where the page begins.
        found: What was found.
        shown: What can be shown of each image found.
    """

    wanted: Filter
    start: Cursor
    found: Found
    shown: Sequence[Shown]


def render_gallery(addresses: Addresses, overview: Overview, images: ImagePage) -> str:
    """Render a page of images.

    Uploaders choose names and reasons: all of them are escaped.

    Args:
        addresses: The run's pages.
        overview: What there is of the run.
        images: What was found.
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
    """Render the page of one image: large, with all that its mask says of its origin."""
    return _render("image.html.j2", addresses=addresses, entry=entry, result=entry.result, details=details)


def render_progress(addresses: Addresses, progress: RunProgress, run_state: str, *, refreshing: bool) -> str:
    """Render how far a run is.

    Args:
        addresses: The run's pages.
        progress: What its engines say.
        run_state: Airflow's word for the state of the run.
        refreshing: Whether the browser reloads the page automatically.
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
    """Render a page that says one thing.

    Args:
        style: Address of the style sheet.
        title: In a few words.
        text: What was found, and what to do; its lines are kept.
        link: Address and words of what to do next.
    """
    return _render("message.html.j2", style=style, title=title, text=text, link=link)


def render_no_picture(reason: str) -> str:
    """Draw, as SVG, that no picture can be made of an image, and why."""
    # XML has no way to write control characters.
    said = "".join(letter if letter.isprintable() else " " for letter in reason)
    return _render("nothing.svg.j2", reason=textwrap.shorten(said, 200, placeholder="…"), lines=_wrapped(said))


def style_sheet() -> str:
    """The style of all pages: the report's, and what the gallery adds to it."""
    report = resources.files("cloudseg_ops.report").joinpath("report.css").read_text("utf-8")
    return report + resources.files(_PACKAGE).joinpath("gallery.css").read_text("utf-8")


def spans(indexes: Sequence[int]) -> str:
    """Write ascending numbers in few words.

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
    """A reason in the few short lines that a small picture has room for."""
    return textwrap.wrap(reason, 52, max_lines=4, placeholder="…")


def _counts(overview: Overview) -> list[tuple[str, str]]:
    """What is counted at the top of the page, as label and number."""
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
    environment.filters |= {"digits": three_digits, "note": words.note_on}
    environment.globals |= {
        "KINDS": words.KINDS,
        "OUTCOMES": words.OUTCOMES,
        "PLACES": words.PLACES,
        "Shape": Shape,
        "alt_text": words.alt_text,
    }
    return environment
