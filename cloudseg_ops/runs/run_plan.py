"""The plan of a run, published for people and programs before anything is segmented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cloudseg_ops.contracts.errors import ManifestError, ObjectNotFoundError
from cloudseg_ops.contracts.json_text import load_json
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Proof, proof_of
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.runs.chunk_plan import Chunk
from cloudseg_ops.runs.forecast import CURRENCY, Forecast, Rate, Spread, forecast
from cloudseg_ops.runs.snapshots import pages, read_inputs
from cloudseg_ops.storage import Store
from cloudseg_ops.storage.concurrency import in_order
from cloudseg_ops.storage.evidence import gather_evidence

LOOKED_UP = 10_000
"""Maximum number of inputs for which existing masks are counted: ten pages of a listing, which take a few seconds."""
_PAGES_AT_ONCE = 4


@dataclass(frozen=True)
class RunPlan:
    """The plan of a run or dry run.

    Attributes:
        layout: The run's files.
        version: The cloudseg version.
        written: When the plan was written, ISO 8601.
        dry_run: Whether the run ends with its plan.
        after_success: What happens to proven inputs: `delete`, `archive` or `keep`.
        input_bucket: The input bucket.
        chunks: The run's chunks, by index; at least one.
        already_processed: Number of inputs that already have a mask by this model or a quarantine copy; None: not
            counted.
        at_once: Maximum number of concurrent chunks; None: unknown.
        rate: Expected rate of a chunk.
        gpu_hour_price: Price of a GPU hour, in `CURRENCY`; None: unknown.
        model: The run's model; None: unknown.
    """

    layout: RunLayout
    version: str
    written: str
    dry_run: bool
    after_success: str
    input_bucket: str
    chunks: Sequence[Chunk]
    already_processed: int | None
    at_once: int | None
    rate: Rate
    gpu_hour_price: float | None
    model: ModelRef | None

    @cached_property
    def forecast(self) -> Forecast:
        """The expected time and cost of the run."""
        return forecast(
            self.chunks,
            self.rate,
            already_processed=self.already_processed,
            at_once=self.at_once,
            gpu_hour_price=self.gpu_hour_price,
        )

    @property
    def objects(self) -> int:
        """Number of inputs."""
        return sum(chunk.objects for chunk in self.chunks)

    @property
    def bytes(self) -> int:
        """Sum of the inputs' sizes."""
        return sum(chunk.bytes for chunk in self.chunks)

    @cached_property
    def chunk_objects(self) -> Spread:
        """Spread of the number of images in a chunk."""
        return Spread.of([chunk.objects for chunk in self.chunks])

    @cached_property
    def chunk_bytes(self) -> Spread:
        """Spread of the number of bytes in a chunk."""
        return Spread.of([chunk.bytes for chunk in self.chunks])

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON without the list of chunks, so that it is small enough for XCom."""
        expected = self.forecast
        return {
            "run_id": self.layout.run_id,
            "written": self.written,
            "version": self.version,
            "dry_run": self.dry_run,
            "objects": self.objects,
            "bytes": self.bytes,
            "dealt_with": self.already_processed,
            "after_success": self.after_success,
            "chunks": {
                "count": len(self.chunks),
                "objects": self.chunk_objects.to_json(),
                "bytes": self.chunk_bytes.to_json(),
            },
            "at_once": self.at_once,
            "rate": {
                "images_per_second": round(self.rate.images_per_second, 3),
                "start_seconds": None if self.rate.start_seconds is None else round(self.rate.start_seconds, 1),
                "measured_in": list(self.rate.runs),
                "same_model": self.rate.same_model,
            },
            "estimate": {
                "images": expected.images,
                "gpu_hours": round(expected.gpu_hours, 4),
                "wall_seconds": None if expected.wall_seconds is None else round(expected.wall_seconds, 1),
                "shortest_seconds": round(expected.shortest_seconds, 1),
                "longest_seconds": round(expected.longest_seconds, 1),
                "cost": None if expected.cost is None else round(expected.cost, 4),
                "gpu_hour_price": self.gpu_hour_price,
                "currency": CURRENCY,
            },
            "model": None
            if self.model is None
            else {"revision": self.model.revision, "commit": self.model.commit, "digest": self.model.digest},
            "plan_json": str(self.layout.plan_json),
            "plan_html": str(self.layout.plan_html),
        }


def is_dry_run(store: Store, layout: RunLayout) -> bool:
    """Return whether a run is a dry run according to its plan in OUTPUT; False if there is no plan yet.

    Raises:
        ManifestError: The plan is not in the expected format.
    """
    try:
        return parse_dry_run(store.read(layout.plan_json), str(layout.plan_json))
    except ObjectNotFoundError:
        return False


def parse_dry_run(document: bytes, where: str) -> bool:
    """Return whether a plan in OUTPUT is that of a dry run.

    Args:
        document: The plan, as JSON.
        where: The plan's address, for error messages.

    Raises:
        ManifestError: The plan is not in the expected format.
    """
    try:
        return bool(load_json(document)["dry_run"])
    except (TypeError, KeyError, ValueError) as error:
        raise ManifestError(
            f"{where} is not a plan ({type(error).__name__}: {error}); clear `plan_chunks`, which writes it"
        ) from error


def count_already_processed(
    store: Store, layout: RunLayout, *, objects: int, input_bucket: str, model_digest: str
) -> int | None:
    """Count the inputs of a snapshot that already have a mask by this model or a quarantine copy.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        objects: Number of inputs in the snapshot.
        input_bucket: The input bucket.
        model_digest: Digest of the run's model.

    Returns:
        The number, or None if the snapshot has more than `LOOKED_UP` inputs.
    """
    if objects > LOOKED_UP:
        return None

    def proven(page: list[InputObject]) -> int:
        found = gather_evidence(store, page, input_bucket=input_bucket, output_bucket=layout.output.bucket)
        proofs = (
            proof_of(version, input_bucket, evidence, model_digest)
            for version, evidence in zip(page, found, strict=True)
        )
        return sum(proof is not Proof.NONE for proof in proofs)

    return sum(in_order(proven, pages(read_inputs(store, layout.snapshot)), at_once=_PAGES_AT_ONCE))
