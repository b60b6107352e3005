"""Writes a run's plan: its chunks, each a list of input versions in STAGING."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from cloudseg_ops.layout import RunLayout
from cloudseg_ops.objects import InputObject
from cloudseg_ops.planning import count_chunks, split
from cloudseg_ops.snapshots import Snapshot, read_inputs
from cloudseg_ops.storage import Store


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a plan.

    Attributes:
        index: From 0, without gaps.
        uri: JSONL of its input versions.
        objects: How many they are.
        bytes: Sum of their sizes.
    """

    index: int
    uri: str
    objects: int
    bytes: int


def write_plan(
    store: Store, layout: RunLayout, snapshot: Snapshot, *, chunk_objects: int, max_chunks: int
) -> list[Chunk]:
    """Cut a snapshot into chunks and write them, then the list of them; memory does not grow with the snapshot.

    The same snapshot and limits give the same chunks, so a repeated plan changes nothing.
    """
    count = count_chunks(snapshot.objects, chunk_objects=chunk_objects, max_chunks=max_chunks)
    chunks: list[Chunk] = []
    parts = split(
        read_inputs(store, snapshot.uri),
        objects=snapshot.objects,
        total_bytes=snapshot.total_bytes,
        chunks=count,
    )
    for index, members in parts:
        objects = total_bytes = 0

        def line(item: InputObject) -> str:
            nonlocal objects, total_bytes
            objects += 1
            total_bytes += item.size
            return item.to_line()

        uri = layout.chunk(index)
        store.write_lines(uri, map(line, members))
        chunks.append(Chunk(index, str(uri), objects, total_bytes))
    document = json.dumps([asdict(chunk) for chunk in chunks]).encode()
    store.write(layout.plan, document, content_type="application/json")
    return chunks
