"""The snapshot of a run: the new input versions in INPUT, written once and read as a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice

from cloudseg_ops.contracts.errors import PreconditionFailedError
from cloudseg_ops.contracts.objects import InputObject, select_new
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import PAGE_SIZE, Store


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The address and size of a snapshot.

    Attributes:
        uri: Address of the JSONL file.
        objects: Number of input versions, one per line.
        total_bytes: Sum of the inputs' sizes.
        reused: Whether an earlier try wrote it, so that the bucket was not listed.
    """

    uri: GcsUri
    objects: int
    total_bytes: int
    reused: bool = field(default=False, compare=False)


def take_snapshot(
    store: Store,
    layout: RunLayout,
    folder: GcsUri,
    *,
    now: datetime,
    settle: timedelta,
    image_types: Iterable[str],
    max_objects: int | None = None,
    on_left: Callable[[str, str], None] | None = None,
) -> Snapshot | None:
    """Write the new input versions under `folder` as the run's snapshot, in bounded memory.

    A run has only one snapshot. If it already exists, because the task was killed after writing it or was cleared, it
    is counted and returned unchanged.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        folder: Input bucket and prefix.
        now: The time from which ages are measured; timezone-aware.
        settle: An object changed less than this ago is left for the next run.
        image_types: Lower-case extensions of photographs.
        max_objects: Maximum number of input versions.
        on_left: Called with the name of each object that is left out, and the reason; see `select_new`.

    Returns:
        The snapshot, or None if there are no new inputs, in which case nothing is written.
    """
    if store.stat(layout.snapshot) is not None:
        return count_snapshot(store, layout)
    found = select_new(
        store.list_objects(folder),
        now=now,
        settle=settle,
        image_types=image_types,
        max_objects=max_objects,
        prefix=folder.name,
        on_left=on_left,
    )
    first = next(found, None)
    if first is None:
        return None
    tally = _Tally()
    try:
        store.write_lines(layout.snapshot, tally.lines(chain([first], found)), if_generation_match=0)
    except PreconditionFailedError:
        return count_snapshot(store, layout)
    return Snapshot(layout.snapshot, tally.objects, tally.total_bytes)


def count_snapshot(store: Store, layout: RunLayout) -> Snapshot:
    """Count the lines and bytes of an existing snapshot.

    Raises:
        ObjectNotFoundError: The run has no snapshot.
    """
    tally = _Tally()
    for _ in tally.lines(read_inputs(store, layout.snapshot)):
        pass
    return Snapshot(layout.snapshot, tally.objects, tally.total_bytes, reused=True)


def read_inputs(store: Store, uri: GcsUri) -> Iterator[InputObject]:
    """Yield the input versions of a snapshot or a chunk.

    Raises:
        ObjectNotFoundError: The file does not exist.
        ManifestError: A line is not an input version.
    """
    return map(InputObject.from_line, store.read_lines(uri))


def pages(inputs: Iterable[InputObject], size: int = PAGE_SIZE) -> Iterator[list[InputObject]]:
    """Yield a stream of input versions as lists of at most `size`."""
    rest = iter(inputs)
    while page := list(islice(rest, size)):
        yield page


class _Tally:
    def __init__(self) -> None:
        self.objects = 0
        self.total_bytes = 0

    def lines(self, inputs: Iterable[InputObject]) -> Iterator[str]:
        for item in inputs:
            self.objects += 1
            self.total_bytes += item.size
            yield item.to_line()
