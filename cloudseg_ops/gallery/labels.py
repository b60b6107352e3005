"""The gallery's labels for outcomes, places and pictures."""

from __future__ import annotations

from typing import Final

from cloudseg_ops.contracts.proof import Place
from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.gallery.locating import Shape, Shown

OUTCOMES: Final = {
    Outcome.DONE: "mask made",
    Outcome.SKIPPED: "mask already existed",
    Outcome.QUARANTINED: "quarantined",
    Outcome.VANISHED: "vanished",
    Outcome.CHANGED: "changed",
    Outcome.UNREADABLE: "could not be read",
}
KINDS: Final = {
    "all": "any outcome",
    "masked": "with a mask",
    "done": "mask made in this run",
    "skipped": "mask already existed",
    "quarantined": "quarantined",
    "vanished": "vanished",
    "changed": "changed",
    "unreadable": "could not be read",
}
"""The form's choices of outcomes."""
PLACES: Final = {
    Place.INPUT: "still in INPUT",
    Place.MASKED: "replaced by its mask",
    Place.QUARANTINED: "in quarantine",
    Place.SUPERSEDED: "superseded by a newer upload",
    Place.LOST: "lost: not found in any bucket",
}
_SUBSTITUTES: Final = {Shape.PREVIEW: "the engine's preview", Shape.MASK: "the mask"}


def note_on(shown: Shown) -> str:
    """Return why something other than the photograph and its overlay is shown; empty if they are shown."""
    if shown.shape is Shape.NOTHING:
        return "There is neither a photograph nor a mask."
    if shown.shape is Shape.PHOTOGRAPH:
        return "Only the photograph is shown, because it has no mask."
    if shown.shape is Shape.PAIR:
        return ""
    if shown.superseded:
        why = "A newer upload has replaced the photograph"
    elif shown.mask:
        why = "The photograph was deleted because its mask is proven"
    else:
        why = "The photograph and its mask no longer exist"
    return f"{why}: this is {_SUBSTITUTES[shown.shape]}."


def alt_text(shape: Shape, name: str) -> str:
    """Return the alternative text of a picture."""
    return {
        Shape.PAIR: f"{name}, next to a copy with its clouds marked",
        Shape.PREVIEW: f"{name}, next to a copy with its clouds marked",
        Shape.PHOTOGRAPH: name,
        Shape.MASK: f"Mask of {name}",
        Shape.NOTHING: "",
    }[shape]
