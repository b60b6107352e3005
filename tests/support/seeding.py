"""Writes photographs and their masks, up to a million, into the directory of an emulator.

    python -m tests.support.seeding DIRECTORY PREFIX OBJECTS

It writes to the emulator's database while the emulator does not run: uploads over HTTP would take hours. The objects
have no bytes, only metadata.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cloudseg_ops.contracts.provenance import Source, mask_name
from gcs_emulator.database import object_row, open_database
from gcs_emulator.records import ObjectRecord
from gcs_emulator.store import Store
from tests.support.samples import provenance

INPUT, OUTPUT, STAGING = "scale-input", "scale-output", "scale-staging"
_ROWS = 50_000
_SIZE = 50_000


def seed(directory: Path, prefix: str, objects: int) -> None:
    """Add objects under a prefix to an emulator that is not running."""
    store = Store(directory)
    present = {bucket.name for bucket in store.buckets()}
    for bucket in (INPUT, OUTPUT, STAGING):
        if bucket not in present:
            store.insert_bucket(bucket, {})
    first = store.tick()
    store.close()
    database = open_database(directory)
    rest = _records(prefix, objects, first)
    while rows := [object_row(record) for record in islice(rest, _ROWS)]:
        database.execute("BEGIN")
        database.executemany("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        database.execute("COMMIT")
    database.execute("UPDATE clock SET last = ?", (first + objects,))
    database.close()


def _records(prefix: str, objects: int, first: int) -> Iterator[ObjectRecord]:
    # Masks after inputs, as the table is ordered by bucket and name: SQLite appends.
    for number in range(objects):
        yield _record(INPUT, _name(prefix, number), first + number, {"contentType": "image/jpeg"})
    for number in range(objects):
        name, generation = _name(prefix, number), first + number
        metadata = provenance(Source(INPUT, name, generation, "AAAAAA==")).to_metadata()
        yield _record(OUTPUT, mask_name(name), generation, {"contentType": "image/png", "metadata": metadata})


def _name(prefix: str, number: int) -> str:
    return f"{prefix}station-{number // 10_000:04d}/2026-08-26/photograph-{number:08d}.jpg"


def _record(bucket: str, name: str, generation: int, fields: dict[str, object]) -> ObjectRecord:
    return ObjectRecord(
        bucket, name, generation, 1, "00" * 16, _SIZE, "AAAAAA==", "1B2M2Y8AsgTpgAmY7PhCfg==", generation, fields
    )


if __name__ == "__main__":
    seed(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
