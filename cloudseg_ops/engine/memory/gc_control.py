"""Keeps Python's cyclic garbage collector out of the way while the engine starts."""

from __future__ import annotations

import gc


def postpone_gc() -> None:
    """Let nothing be collected until `start_gc`.

    Importing PyTorch makes a million objects that all stay, and the collector walks them again and again: a tenth of
    the time to the first mask.
    """
    gc.disable()


def start_gc() -> None:
    """Collect again, except objects that exist already: modules and the model live as long as the process.

    Does nothing where the collector was never put off.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
