"""Makes the installed PyTorch smaller: removes what inference on one GPU does not use, and checks what is left.

The image's builder runs it as `python -m slim`; standard library only. `removed.toml` lists what goes, with reasons.
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
