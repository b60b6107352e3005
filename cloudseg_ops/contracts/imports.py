"""Python objects that a text names, `package.module:name`: imported when they are needed, not when they are named."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

_REFERENCE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_reference(text: str) -> bool:
    """Return whether a text has the form `package.module:name`."""
    return bool(_REFERENCE.fullmatch(text))


def import_reference(reference: str) -> Any:
    """Import what `package.module:name` names.

    Raises:
        ImportError: There is no such module.
        AttributeError: The module has no such name.
    """
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
