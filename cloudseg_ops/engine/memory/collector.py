"""Keeps Python's cyclic garbage collector out of the way while the engine starts."""

from __future__ import annotations

import gc


def put_off_collection() -> None:
    """Let nothing be collected until `begin_collection`.

    Importing PyTorch makes a million objects that all stay, and the collector walks them again and again: a tenth of
    the time to the first mask.
    """
    gc.disable()


def begin_collection() -> None:
    """Collect again, but for what is there already: modules and the model stay as long as the process.

    Does nothing where the collector was never put off.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
