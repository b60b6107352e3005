"""How outcomes, places and the states of chunks are called on a page."""

from __future__ import annotations

from typing import Final

from cloudseg_ops.contracts.proof import Place
from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.gallery.locating import Shape, Shown

OUTCOMES: Final = {
    Outcome.DONE: "mask made",
    Outcome.SKIPPED: "mask from before",
    Outcome.QUARANTINED: "quarantined",
    Outcome.VANISHED: "vanished",
    Outcome.CHANGED: "changed",
}
KINDS: Final = {
    "all": "any outcome",
    "masked": "with a mask",
    "done": "mask made in this run",
    "skipped": "mask from before",
    "quarantined": "quarantined",
    "vanished": "vanished",
    "changed": "changed",
}
"""The choices of the form."""
PLACES: Final = {
    Place.INPUT: "still in INPUT",
    Place.MASKED: "replaced by its mask",
    Place.QUARANTINED: "in quarantine",
    Place.SUPERSEDED: "superseded by a newer upload",
    Place.LOST: "lost: in none of the places where it may be",
}
_INSTEAD: Final = {Shape.PREVIEW: "the engine's preview", Shape.MASK: "the mask"}


def note_on(shown: Shown) -> str:
    """Why something other than the photograph next to its overlay is shown; empty if it is not."""
    if shown.shape is Shape.NOTHING:
        return "Neither the photograph nor a mask of it is there."
    if shown.shape is Shape.PHOTOGRAPH:
        return "The photograph alone: there is no mask of it."
    if shown.shape is Shape.PAIR:
        return ""
    if shown.superseded:
        why = "A newer upload has taken the photograph's name"
    elif shown.mask:
        why = "The photograph was deleted because its mask is proven"
    else:
        why = "The photograph is not there any more, and neither is its mask"
    return f"{why}: this is {_INSTEAD[shown.shape]}."


def alt_text(shape: Shape, name: str) -> str:
    """What a picture shows, for those who do not see it."""
    return {
        Shape.PAIR: f"{name}, and the same with its clouds marked",
        Shape.PREVIEW: f"{name}, and the same with its clouds marked",
        Shape.PHOTOGRAPH: name,
        Shape.MASK: f"Mask of {name}",
        Shape.NOTHING: "",
    }[shape]
