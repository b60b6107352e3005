"""Cloud Storage for a laptop and for tests: the JSON API as google-cloud-storage uses it, on loopback.

It keeps what cloudseg leans on: generations and preconditions that hold under concurrency, checksums, pages in byte
order, batches. It has no versioning, no access control and no encryption. The suite in ``tests/contract`` says what
it promises, from the client's side.
"""

from .errors import EmulatorStartError
from .faults import Fault, FaultPlan
from .server import Emulator, start_emulator

__all__ = ["Emulator", "EmulatorStartError", "Fault", "FaultPlan", "start_emulator"]
