"""The addresses of a run's files: a folder per run in STAGING, and one for its report in OUTPUT."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cloudseg_ops.contracts.provenance import REPORTS_FOLDER
from cloudseg_ops.contracts.uris import GcsUri


@dataclass(frozen=True, slots=True)
class RunLayout:
    """The addresses of one run's files.

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
        """The run's folder in STAGING."""
        return self.staging / "runs" / self.run_id

    @property
    def snapshot(self) -> GcsUri:
        """The snapshot: the run's input versions."""
        return self.folder / "snapshot.jsonl"

    @property
    def model(self) -> GcsUri:
        """The run's model reference, as JSON."""
        return self.folder / "model.json"

    @property
    def plan(self) -> GcsUri:
        """The list of chunks, as JSON."""
        return self.folder / "plan.json"

    @property
    def results_folder(self) -> GcsUri:
        """The folder of the chunks' results."""
        return self.folder / "results"

    @property
    def progress_folder(self) -> GcsUri:
        """The folder of the status objects that engines update while they work."""
        return self.folder / "progress"

    @property
    def previews_folder(self) -> GcsUri:
        """The folder of the previews for the report and the gallery."""
        return self.folder / "previews"

    @property
    def report_folder(self) -> GcsUri:
        """The folder of the run's plan and report, in OUTPUT."""
        return GcsUri(self.output.bucket, REPORTS_FOLDER + self.run_id)

    @property
    def report_json(self) -> GcsUri:
        """The report as JSON."""
        return self.report_folder / "report.json"

    @property
    def report_html(self) -> GcsUri:
        """The report as a page."""
        return self.report_folder / "report.html"

    @property
    def plan_json(self) -> GcsUri:
        """The plan and its forecast as JSON, next to the report."""
        return self.report_folder / "plan.json"

    @property
    def plan_html(self) -> GcsUri:
        """The plan and its forecast as a page."""
        return self.report_folder / "plan.html"

    def chunk(self, index: int) -> GcsUri:
        """Return the address of one chunk's input versions."""
        return self.folder / "chunks" / f"{index:05d}.jsonl"

    def results(self, index: int) -> GcsUri:
        """Return the address of one chunk's results."""
        return self.results_folder / f"{index:05d}.jsonl"

    def progress(self, index: int) -> GcsUri:
        """Return the address of one chunk's status."""
        return self.progress_folder / f"{index:05d}"


def staged_weights(staging: GcsUri, md5: str, suffix: str) -> GcsUri:
    """Return the address of a model's weights by content, so that revisions with the same weights share one object.

    Args:
        staging: The staging bucket, or a folder in it.
        md5: MD5 of the weights file, hex.
        suffix: The weights file's extension, including the dot.
    """
    return staging / "models" / md5 / f"weights{suffix}"


MORE_FOLDER = "more/"
"""Subfolder of a run's previews for all but the first of each chunk, so that the report's listing can skip them.

It sorts after every chunk index.
"""


def image_key(name: str, generation: int) -> str:
    """Return a digest of an input version, 32 hex digits, which is the same in every run."""
    return hashlib.sha256(f"{generation}\n{name}".encode(errors="replace")).hexdigest()[:32]


def preview_uri(folder: GcsUri, chunk: int, name: str, generation: int, *, first: bool) -> GcsUri:
    """Return the address of an input version's preview.

    Args:
        folder: The run's folder of previews.
        chunk: Index of the chunk, by which previews are listed.
        name: The input's name.
        generation: The input's version number.
        first: Whether it is one of the chunk's first, from which the report's contact sheet is chosen.
    """
    return folder / f"{'' if first else MORE_FOLDER}{chunk:05d}-{image_key(name, generation)}.jpg"
