"""Removes the parts of an installed PyTorch that inference on one GPU does not use, and checks the rest.

The image build runs it as `python -m slim`; it uses only the standard library. `removed.toml` lists the removed files,
with reasons.
"""

from .check import check_import, unresolved_libraries
from .elf import SharedObject
from .prune import Entry, Pruned, PruneError, library_stand_in, matches, prune, read_entries, selected
from .stand_in import stand_in

__all__ = [
    "Entry",
    "PruneError",
    "Pruned",
    "SharedObject",
    "check_import",
    "library_stand_in",
    "matches",
    "prune",
    "read_entries",
    "selected",
    "stand_in",
    "unresolved_libraries",
]
