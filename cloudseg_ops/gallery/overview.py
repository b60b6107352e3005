"""The overview of a run: its chunks, their results files, and the number of images by outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudseg_ops.contracts.results import ChunkSummary, Outcome
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.chunk_plan import read_plan
from cloudseg_ops.runs.report_file import read_head
from cloudseg_ops.storage import ObjectInfo, Store


@dataclass(frozen=True, slots=True)
class ChunkFile:
    """A planned chunk, with its results file if there is one.

    Attributes:
        index: Index of the chunk.
        objects: Number of images planned.
        results: The results file; None: not written yet.
    """

    index: int
    objects: int
    results: ObjectInfo | None = None

    @property
    def complete(self) -> bool:
        """Whether every image is accounted for according to the results file."""
        summary = ChunkSummary.from_metadata(self.results.metadata) if self.results else None
        return summary is not None and summary.complete


@dataclass(frozen=True, slots=True)
class Overview:
    """The overview of a run.

    Attributes:
        chunks: The planned chunks, by index; empty before `plan_chunks`, and in a dry run.
        head: The head of report.json; empty if there is no report yet.
    """

    chunks: Sequence[ChunkFile]
    head: Mapping[str, Any] = field(default_factory=dict)

    @property
    def objects(self) -> int:
        """Number of images planned."""
        return sum(chunk.objects for chunk in self.chunks)

    @property
    def waiting(self) -> list[ChunkFile]:
        """Chunks without a results file."""
        return [chunk for chunk in self.chunks if chunk.results is None]

    @property
    def unfinished(self) -> list[ChunkFile]:
        """Chunks whose results do not account for every image yet."""
        return [chunk for chunk in self.chunks if chunk.results and not chunk.complete]

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """Number of images by outcome according to the report; empty if there is no report yet."""
        reported = self.head.get("outcomes")
        counts = reported if isinstance(reported, dict) else {}
        return {outcome: count for outcome in Outcome if isinstance(count := counts.get(outcome.value), int)}


def read_overview(store: Store, layout: RunLayout) -> Overview:
    """Read the overview of a run from its plan, its results files and its report, in three requests.

    Raises:
        ManifestError: The plan is not in the expected format.
        StorageError: Cloud Storage failed.
    """
    chunks = read_plan(store, layout)
    if not chunks:
        return Overview([])
    folder = GcsUri(layout.staging.bucket, layout.results_folder.name + "/")
    found = {info.name: info for info in store.list_objects(folder)}
    return Overview(
        [ChunkFile(chunk.index, chunk.objects, found.get(layout.results(chunk.index).name)) for chunk in chunks],
        read_head(store, layout) or {},
    )
