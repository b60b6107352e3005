"""The addresses of a run's pages, as paths without a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from cloudseg_ops.gallery.searching import Entry


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one run's pages.

    Attributes:
        root: Path where the gallery is mounted, without a trailing slash, such as `/cloudseg`.
        dag_id: The run's DAG.
        run_id: The Airflow run.
    """

    root: str
    dag_id: str
    run_id: str

    @property
    def run(self) -> str:
        """Common prefix of the run's pages."""
        return f"{self.root}/dags/{quote(self.dag_id, safe='')}/runs/{quote(self.run_id, safe='')}"

    @property
    def style(self) -> str:
        """Address of the style sheet."""
        return f"{self.root}/style.css"

    @property
    def progress(self) -> str:
        """Address of the page with the run's progress."""
        return f"{self.run}/progress"

    def gallery(self, query: Mapping[str, str] | None = None) -> str:
        """Return the address of a page of images."""
        return f"{self.run}/gallery" + (f"?{urlencode(query)}" if query else "")

    def image(self, entry: Entry) -> str:
        """Return the address of the page of one image."""
        return f"{self.run}/images/{entry.chunk}/{entry.offset}/{entry.key}"

    def picture(self, entry: Entry, size: str) -> str:
        """Return the address of the picture of one image, with size `small` or `large`."""
        return f"{self.image(entry)}/{size}"
