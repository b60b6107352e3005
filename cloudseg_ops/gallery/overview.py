"""What there is to be shown of a run: its chunks, their results files, and how many images came to what end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudseg_ops.contracts.errors import ManifestError, ObjectNotFoundError
from cloudseg_ops.contracts.results import ChunkSummary, Outcome
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.report.head import read_head
from cloudseg_ops.storage import ObjectInfo, Store


@dataclass(frozen=True, slots=True)
class ChunkFile:
    """A planned chunk, and its results file as far as there is one.

    Attributes:
        index: The chunk.
        objects: Images planned.
        results: Its results file; None: no engine has written one yet.
    """

    index: int
    objects: int
    results: ObjectInfo | None = None

    @property
    def complete(self) -> bool:
        """Whether its results say that each image is accounted for."""
        summary = ChunkSummary.from_metadata(self.results.metadata) if self.results else None
        return summary is not None and summary.complete


@dataclass(frozen=True, slots=True)
class Overview:
    """A run as its files show it.

    Attributes:
        chunks: The chunks planned, by index; none before `plan_chunks`, and in a dry run.
        head: The head of report.json; empty while there is none.
    """

    chunks: Sequence[ChunkFile]
    head: Mapping[str, Any] = field(default_factory=dict)

    @property
    def objects(self) -> int:
        """Images planned."""
        return sum(chunk.objects for chunk in self.chunks)

    @property
    def waiting(self) -> list[ChunkFile]:
        """Chunks without results."""
        return [chunk for chunk in self.chunks if chunk.results is None]

    @property
    def unfinished(self) -> list[ChunkFile]:
        """Chunks whose results do not account for each image yet."""
        return [chunk for chunk in self.chunks if chunk.results and not chunk.complete]

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """Images by outcome as the report counted them; empty while there is none."""
        said = self.head.get("outcomes")
        counts = said if isinstance(said, dict) else {}
        return {outcome: count for outcome in Outcome if isinstance(count := counts.get(outcome.value), int)}


def read_overview(store: Store, layout: RunLayout) -> Overview:
    """Read a run's plan, list its results files, and read the head of its report: three requests.

    Raises:
        ManifestError: The plan is not of its form.
        StorageError: Cloud Storage failed.
    """
    chunks = _read_plan(store, layout)
    if not chunks:
        return Overview([])
    folder = GcsUri(layout.staging.bucket, layout.results_folder.name + "/")
    found = {info.name: info for info in store.list_objects(folder)}
    return Overview(
        [ChunkFile(index, objects, found.get(layout.results(index).name)) for index, objects in chunks],
        read_head(store, layout) or {},
    )


def _read_plan(store: Store, layout: RunLayout) -> list[tuple[int, int]]:
    """Indexes of the chunks and how many images each has; empty where there is no plan."""
    try:
        planned = json.loads(store.read(layout.plan))
    except ObjectNotFoundError:
        return []
    except ValueError as error:
        raise ManifestError(f"{layout.plan} is not JSON ({error}); clear `plan_chunks`, which writes it") from error
    try:
        return sorted((int(chunk["index"]), int(chunk["objects"])) for chunk in planned)
    except (TypeError, KeyError, ValueError) as error:
        raise ManifestError(
            f"{layout.plan} is not a plan ({type(error).__name__}: {error}); clear `plan_chunks`, which writes it"
        ) from error
