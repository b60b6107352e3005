"""Writes and reads a run's chunk plan: the list of chunks, and a list of input versions for each chunk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice

from cloudseg_ops.contracts.errors import ManifestError, ObjectNotFoundError
from cloudseg_ops.contracts.json_text import load_json
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.chunking import count_chunks, split
from cloudseg_ops.runs.snapshots import Snapshot, read_inputs
from cloudseg_ops.storage import LINES_TYPE, Store
from cloudseg_ops.storage.concurrency import in_order

_WRITES_AT_ONCE = 4
_MAX_LINES_HELD = 10_000  # about 1 MB; the lines of a larger chunk are streamed


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of the chunk plan.

    Attributes:
        index: Index of the chunk, from 0 without gaps.
        uri: Address of the JSONL file of its input versions.
        objects: Number of input versions.
        bytes: Sum of their sizes.
    """

    index: int
    uri: str
    objects: int
    bytes: int


def write_plan(
    store: Store,
    layout: RunLayout,
    snapshot: Snapshot,
    *,
    chunk_objects: int,
    max_chunks: int,
    dry_run: bool = False,
) -> list[Chunk]:
    """Split a snapshot into chunks, and write the chunks and then the list of them, in constant memory.

    Reading overlaps with writing. The same snapshot and limits always result in the same chunks, so that a repeated
    call changes nothing.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        snapshot: The snapshot to split.
        chunk_objects: Target number of inputs in a chunk.
        max_chunks: Maximum number of chunks.
        dry_run: Write nothing, so that the plan is not mistaken for work in progress.
    """
    count = count_chunks(snapshot.objects, chunk_objects=chunk_objects, max_chunks=max_chunks)
    parts = split(
        read_inputs(store, snapshot.uri),
        objects=snapshot.objects,
        total_bytes=snapshot.total_bytes,
        chunks=count,
    )

    if dry_run:
        return [_count(layout.chunk(index), index, members) for index, members in parts]

    def write(packed: _Packed) -> Chunk:
        if packed.lines:
            document = "".join(f"{line}\n" for line in packed.lines).encode()
            store.write(GcsUri.parse(packed.chunk.uri), document, content_type=LINES_TYPE)
        return packed.chunk

    packed = (_pack(store, layout.chunk(index), index, members) for index, members in parts)
    chunks = list(in_order(write, packed, at_once=_WRITES_AT_ONCE))
    document = json.dumps([asdict(chunk) for chunk in chunks]).encode()
    store.write(layout.plan, document, content_type="application/json")
    return chunks


def read_plan(store: Store, layout: RunLayout) -> list[Chunk]:
    """Return a run's chunks by index; empty before `plan_chunks` has written the plan, and in a dry run.

    Raises:
        ManifestError: The plan is not in the expected format.
    """
    try:
        document = store.read(layout.plan)
    except ObjectNotFoundError:
        return []
    return parse_plan(document, str(layout.plan))


def parse_plan(document: bytes, where: str) -> list[Chunk]:
    """Return the chunks of a plan by index.

    Args:
        document: The plan, as JSON.
        where: The plan's address, for error messages.

    Raises:
        ManifestError: The plan is not in the expected format.
    """
    try:
        planned = load_json(document)
    except ValueError as error:
        raise ManifestError(f"{where} is not JSON ({error}); clear `plan_chunks`, which writes it") from error
    try:
        chunks = [
            Chunk(int(chunk["index"]), str(chunk["uri"]), int(chunk["objects"]), int(chunk["bytes"]))
            for chunk in planned
        ]
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ManifestError(
            f"{where} is not a chunk plan ({type(error).__name__}: {error}); clear `plan_chunks`, which writes it"
        ) from error
    return sorted(chunks, key=lambda chunk: chunk.index)


def _count(uri: GcsUri, index: int, members: Iterator[InputObject]) -> Chunk:
    objects = total_bytes = 0
    for item in members:
        objects += 1
        total_bytes += item.size
    return Chunk(index, str(uri), objects, total_bytes)


@dataclass(frozen=True, slots=True)
class _Packed:
    """A chunk, and its lines unless they are already written."""

    chunk: Chunk
    lines: list[str]


def _pack(store: Store, uri: GcsUri, index: int, members: Iterator[InputObject]) -> _Packed:
    """Collect a chunk's lines for one request; stream them to the bucket right away if there are too many."""
    objects = total_bytes = 0

    def line(item: InputObject) -> str:
        nonlocal objects, total_bytes
        objects += 1
        total_bytes += item.size
        return item.to_line()

    rest = map(line, members)
    lines = list(islice(rest, _MAX_LINES_HELD))
    if len(lines) == _MAX_LINES_HELD:
        store.write_lines(uri, chain(lines, rest))
        lines = []
    return _Packed(Chunk(index, str(uri), objects, total_bytes), lines)
