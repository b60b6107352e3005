"""Where a run keeps its files: one folder a run in STAGING, one for its report in OUTPUT."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cloudseg_ops.contracts.provenance import REPORTS_FOLDER
from cloudseg_ops.contracts.uris import GcsUri


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Addresses of one run's files.

    Attributes:
        staging: The staging bucket, or a folder in it.
        output: The output bucket.
        run_id: The Airflow run.
    """

    staging: GcsUri
    output: GcsUri
    run_id: str

    @property
    def folder(self) -> GcsUri:
        """Folder of the run in STAGING."""
        return self.staging / "runs" / self.run_id

    @property
    def snapshot(self) -> GcsUri:
        """The input versions that the run takes in."""
        return self.folder / "snapshot.jsonl"

    @property
    def model(self) -> GcsUri:
        """The run's ModelRef, as JSON."""
        return self.folder / "model.json"

    @property
    def plan(self) -> GcsUri:
        """The list of chunks, as JSON."""
        return self.folder / "plan.json"

    @property
    def results_folder(self) -> GcsUri:
        """Folder of the chunks' results."""
        return self.folder / "results"

    @property
    def progress_folder(self) -> GcsUri:
        """Folder of what the engines say of their chunks while they work."""
        return self.folder / "progress"

    @property
    def previews_folder(self) -> GcsUri:
        """Folder of the small pictures for the report."""
        return self.folder / "previews"

    @property
    def report_folder(self) -> GcsUri:
        """Folder of the run's pages, in OUTPUT: its plan and its report."""
        return GcsUri(self.output.bucket, REPORTS_FOLDER + self.run_id)

    @property
    def report_json(self) -> GcsUri:
        """The report for programs."""
        return self.report_folder / "report.json"

    @property
    def report_html(self) -> GcsUri:
        """The same as a page."""
        return self.report_folder / "report.html"

    @property
    def plan_json(self) -> GcsUri:
        """The plan with its forecast as JSON, next to the report."""
        return self.report_folder / "plan.json"

    @property
    def plan_html(self) -> GcsUri:
        """The same as a page."""
        return self.report_folder / "plan.html"

    def chunk(self, index: int) -> GcsUri:
        """The input versions of one chunk."""
        return self.folder / "chunks" / f"{index:05d}.jsonl"

    def results(self, index: int) -> GcsUri:
        """The results of one chunk."""
        return self.results_folder / f"{index:05d}.jsonl"

    def progress(self, index: int) -> GcsUri:
        """How far one chunk is."""
        return self.progress_folder / f"{index:05d}"


def staged_weights(staging: GcsUri, md5: str, suffix: str) -> GcsUri:
    """Content address of a model's weights: the same bytes are staged once, whatever the revision."""
    return staging / "models" / md5 / f"weights{suffix}"


MORE_FOLDER = "more/"
"""Below a run's previews: those beyond the first of each chunk, where the report's listing does not come by them.

It sorts after every number of a chunk.
"""


def image_key(name: str, generation: int) -> str:
    """Digest of an input version, 32 hex digits: the same in every run."""
    return hashlib.sha256(f"{generation}\n{name}".encode(errors="replace")).hexdigest()[:32]


def preview_uri(folder: GcsUri, chunk: int, name: str, generation: int, *, first: bool) -> GcsUri:
    """Where the preview of an input version lies.

    Args:
        folder: The run's previews.
        chunk: Index of its chunk: previews are listed by chunk.
        name: The input's name.
        generation: Its version number.
        first: Whether it is one of the first of its chunk, which the report's contact sheet chooses from.
    """
    return folder / f"{'' if first else MORE_FOLDER}{chunk:05d}-{image_key(name, generation)}.jpg"
