"""A Cloud Storage emulator for laptops and tests: the JSON API as google-cloud-storage uses it, on loopback.

It implements what cloudseg depends on: generations, preconditions that hold under concurrency, checksums, listings in
byte order, and batches. It has no versioning, access control or encryption. The suite in ``tests/contract`` specifies
its behavior from the client's side.
"""

from .errors import EmulatorStartError
from .faults import Fault, FaultPlan
from .server import Emulator, start_emulator

__all__ = ["Emulator", "EmulatorStartError", "Fault", "FaultPlan", "start_emulator"]
